import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsdrecon import layout
from nsdrecon.errors import InputError


def test_keys_are_those_of_the_bucket():
    betas = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    assert layout.betas_key("subj01", 3) == f"{betas}/betas_session03.nii.gz"
    assert layout.betas_key("subj01", 40, extension="hdf5") == f"{betas}/betas_session40.hdf5"
    assert layout.ncsnr_key("subj01") == f"{betas}/ncsnr.nii.gz"
    assert layout.roi_key("subj07") == "nsddata/ppdata/subj07/func1pt8mm/roi/nsdgeneral.nii.gz"
    assert (
        layout.roi_key("subj07", "prf-visualrois", space="func1mm")
        == "nsddata/ppdata/subj07/func1mm/roi/prf-visualrois.nii.gz"
    )


@pytest.mark.parametrize(
    ("wanted", "available", "expected"),
    [
        (37, 40, list(range(1, 38))),
        (37, 32, list(range(1, 33))),
        (37, 3, [1, 2, 3]),
        (2, 3, [1, 2]),
        ("all", 30, list(range(1, 31))),
        ([3, 1], 3, [1, 3]),
    ],
)
def test_sessions(wanted, available, expected):
    assert layout.resolve_sessions(wanted, available, 1) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([2, 41], "sessions of subject 5: found 41; expected sessions 1 to 40"),
        ([0], "found 0; expected sessions 1 to 40"),
    ],
)
def test_sessions_that_do_not_exist(wanted, message):
    with pytest.raises(InputError, match=message):
        layout.resolve_sessions(wanted, 40, 5)


@given(st.integers(1, 99))
def test_subject_numbers(number):
    assert layout.subject_number(f"subj{number:02d}") == number


@pytest.mark.parametrize("name", ["1", "subj1", "subj00", "sub-01", "subj01 ", "subj001"])
def test_names_that_are_no_subject(name):
    with pytest.raises(InputError, match="expected subj01"):
        layout.subject_number(name)


def test_reading_the_layout_imports_nothing_heavy():
    """Each cluster job parses the workflow again, and with it this module."""
    code = (
        "import sys, nsdrecon.layout;"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'h5py', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    assert done.stdout.strip() == "[]"
