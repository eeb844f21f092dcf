"""GPUs that a job cannot use: each is one error that says what to do. Answers are simulated."""

import re
import resource
import warnings

import pytest
import torch

from nsdrecon.devices import choose_device, number_format, reuse_memory
from nsdrecon.errors import InputError
from nsdrecon.job import job
from stand_ins import script_of

THREADS = torch.get_num_threads()
# What torch 2.13 says of a driver that is older than its CUDA.
OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). "
    "Please update your GPU driver"
)


def sees(monkeypatch, *, gpu, warning=None, bfloat16=True):
    """Let torch answer as on a machine with such a GPU."""

    def available():
        if warning:
            warnings.warn(warning, stacklevel=1)
        return gpu

    monkeypatch.setattr(torch.cuda, "is_available", available)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card 9000")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda _imitated: bfloat16)


@pytest.mark.parametrize("gpu", [True, False])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, gpu):
    sees(monkeypatch, gpu=gpu)
    assert choose_device("auto", THREADS) == ("cuda" if gpu else "cpu")
    assert choose_device("cpu", THREADS) == "cpu"


def test_a_gpu_that_is_wanted_and_not_there_is_an_error(monkeypatch):
    sees(monkeypatch, gpu=False)
    with pytest.raises(InputError, match="this job sees no GPU"):
        choose_device("cuda", THREADS)


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_with_an_old_driver_nothing_goes_on_silently_on_the_cpu(monkeypatch, wanted):
    sees(monkeypatch, gpu=False, warning=OLD_DRIVER)
    with pytest.raises(InputError, match=r"too old \(found version 11040\).*docs/cluster.md"):
        choose_device(wanted, THREADS)
    assert choose_device("cpu", THREADS) == "cpu"


def test_bfloat16_is_refused_where_it_would_be_imitated(monkeypatch):
    sees(monkeypatch, gpu=True, bfloat16=False)
    assert number_format("float16", "cuda") is torch.float16
    assert number_format("bfloat16", "cpu") is torch.bfloat16
    with pytest.raises(InputError, match="bfloat16, which Card 9000 does not compute in"):
        number_format("bfloat16", "cuda")
    sees(monkeypatch, gpu=True)
    assert number_format("bfloat16", "cuda") is torch.bfloat16


def test_large_arrays_take_the_memory_of_those_before_them():
    reuse_memory("cpu")
    torch.ones(2**25)  # twice as large: what else is allocated meanwhile lies in it, too
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**24)
    new_pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert new_pages < 10 * 2**24 * 4 / 4096  # those of 10 of the 20 arrays


@pytest.mark.parametrize(
    ("how", "remedy"),
    [
        ({"device": "auto", "stage1.batch_size": 32}, "Lower stage1.batch_size (32), take a card"),
        ({"device": "auto"}, "Take a card"),
    ],
)
def test_a_card_with_too_little_memory_names_the_setting(how, remedy):
    a_job = script_of(how=how)
    message = f"too little memory: CUDA out of memory. Tried 2 GiB; .*{re.escape(remedy)}"
    with pytest.raises(InputError, match=message), job(a_job):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried 2 GiB")
    with pytest.raises(RuntimeError, match="sizes differ"), job(a_job):
        raise RuntimeError("sizes differ")
