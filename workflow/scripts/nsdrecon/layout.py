"""Where the files of the Natural Scenes Dataset are, and who did which sessions.

Keys are relative to the root of the bucket; a local copy keeps the same paths. Facts are those of
the NSD data manual. Imports nothing heavy: the workflow reads this module whenever it is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from nsdrecon.errors import InputError, listing

DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"
STIMULUS_TABLE = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
STIMULI = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"

# Further test sets, and the experiment of each: sessions of their own, with other pictures.
FURTHER_TESTS = {
    "vision": "imagery",
    "attention": "imagery",
    "imagery": "imagery",
    "synthetic": "synthetic",
}
# Ids of their pictures, which no row of the file of stimuli has.
FIRST_ID = {"imagery": 1_000_000, "synthetic": 2_000_000}
# Runs of NSD-Imagery in the order of its betas: a task, and a set of targets.
IMAGERY_RUNS = (
    *("visA", "attA", "imgA_1", "visB", "attB", "imgB_1", "visC", "attC", "imgC_1"),
    *("imgA_2", "imgB_2", "imgC_2"),
)
IMAGERY_TRIALS = 48  # of a run
# The letter that stands for a target, and its picture; those of set C are concepts without one.
TARGETS = {
    "A": {
        "H": "bar_000.0deg_450L_43W.png",
        "R": "bar_045.0deg_450L_43W.png",
        "V": "bar_090.0deg_450L_43W.png",
        "L": "bar_135.0deg_450L_43W.png",
        "P": "crs_000.0deg_450L_43W.png",
        "E": "crs_045.0deg_450L_43W.png",
    },
    "B": {
        "W": "shared0385_nsd28752.png",
        "K": "shared0413_nsd30857.png",
        "B": "shared0741_nsd53882.png",
        "C": "shared0842_nsd61178.png",
        "D": "shared0907_nsd65873.png",
        "T": "shared0000_nsd00000.png",
    },
}
SYNTHETIC_DESIGN = "nsddata/experiments/nsdsynthetic/nsdsynthetic_expdesign.mat"
SYNTHETIC_STIMULI = "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_stimuli.hdf5"
SYNTHETIC_SHARED = 220  # further stimuli are coloured, and others for each subject

# Sessions that each subject completed.
SESSIONS = {1: 40, 2: 40, 3: 32, 4: 30, 5: 40, 6: 32, 7: 40, 8: 30}

# Of any data set: a session is two digits in the names of files.
MAX_SESSIONS = 99

# How often an image is shown, to those who completed all sessions.
REPEATS = 3

# Voxels of each subject in nsdgeneral, in func1pt8mm; and bytes of a session of one voxel.
VOXELS = {1: 15724, 2: 14278, 3: 15226, 4: 13153, 5: 13039, 6: 17907, 7: 12682, 8: 14386}
VOXEL_BYTES = 750 * 2


def subject_number(subject: str) -> int:
    """The number of a subject: ``"subj01"`` is 1.

    Raises
    ------
    InputError
        If it is not of the form ``subjNN``.
    """
    match = re.fullmatch(r"subj(\d\d)", subject)
    if match is None or match[1] == "00":
        raise InputError("subject", found=repr(subject), expected="subj01, subj02, ...")
    return int(match[1])


def betas_key(
    subject: str,
    session: int | str,
    version: str = "betas_fithrf_GLMdenoise_RR",
    space: str = "func1pt8mm",
    extension: Literal["nii.gz", "hdf5"] = "nii.gz",
) -> str:
    """Key of the single-trial betas of one session (1-based, or its two digits)."""
    folder = _betas_folder(subject, version, space)
    return f"{folder}/betas_session{session:0>2}.{extension}"


def further_betas_key(
    subject: str,
    experiment: str,
    version: str = "betas_fithrf_GLMdenoise_RR",
    space: str = "func1pt8mm",
    extension: Literal["nii.gz", "hdf5"] = "nii.gz",
) -> str:
    """Key of the single-trial betas of NSD-Imagery or NSD-synthetic."""
    folder = _betas_folder(subject, f"nsd{experiment}{version}", space)
    return f"{folder}/betas_nsd{experiment}.{extension}"


def further_tables(subject: str, experiment: str) -> list[str]:
    """Keys of what says what was shown in such an experiment: a table a run, or a design."""
    if experiment == "synthetic":
        return [SYNTHETIC_DESIGN]
    return [f"nsddata/bdata/nsdimagery/nsdimagery_{subject}_{run}.tsv" for run in IMAGERY_RUNS]


def further_pictures(experiment: str) -> list[str]:
    """Keys of the pictures of such an experiment, in the order of their ids."""
    if experiment == "synthetic":
        return [SYNTHETIC_STIMULI]
    folder = "nsddata/experiments/nsdimagery/rawtargetimages"
    return [
        f"{folder}/set{name}/{file}" for name, files in TARGETS.items() for file in files.values()
    ]


def ncsnr_key(
    subject: str, version: str = "betas_fithrf_GLMdenoise_RR", space: str = "func1pt8mm"
) -> str:
    """Key of the noise ceiling's signal-to-noise ratio (signal SD over noise SD, a map)."""
    return f"{_betas_folder(subject, version, space)}/ncsnr.nii.gz"


def roi_key(subject: str, roi: str = "nsdgeneral", space: str = "func1pt8mm") -> str:
    """Key of a volume of ROI labels of both hemispheres, such as ``"prf-visualrois"``.

    Labels are 1, 2, ... inside the regions, 0 in unlabelled cortex and -1 elsewhere.
    """
    return f"nsddata/ppdata/{subject}/{space}/roi/{roi}.nii.gz"


def _betas_folder(subject: str, version: str, space: str) -> str:
    return f"nsddata_betas/ppdata/{subject}/{space}/{version}"


def resolve_sessions(
    wanted: int | Literal["all"] | Sequence[int],
    available: int | Sequence[int],
    subject: int | str,
) -> list[int]:
    """The 1-based sessions to use, in order, by a setting that the schema has accepted.

    Parameters
    ----------
    wanted
        A number n: the first n sessions, or all where the subject has fewer. Published tables are
        made with 37: the last three of 40 were held out when NSD was released. (They were held out
        of subjects 3, 4, 6 and 8 too, who have 29 or 27 sessions before them; a list can say so.)
        ``"all"``: every session. A list: just these.
    available
        How many sessions the subject has, ``SESSIONS[number]`` in NSD; or which, in order.
    subject
        For the error message.

    Raises
    ------
    InputError
        If a listed session does not exist.
    """
    existing = range(1, available + 1) if isinstance(available, int) else available
    if wanted == "all":
        return list(existing)
    if isinstance(wanted, int):
        return list(existing)[:wanted]
    missing = [session for session in sorted(wanted) if session not in existing]
    if missing:
        known = f"sessions 1 to {len(existing)}"
        if list(existing) != list(range(1, len(existing) + 1)):
            known = f"some of the sessions {listing(existing, 40)}"
        raise InputError(f"sessions of subject {subject}", found=listing(missing), expected=known)
    return sorted(wanted)
