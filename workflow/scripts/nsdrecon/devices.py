"""Which device a job computes on, and with how many threads."""

from __future__ import annotations

import ctypes
import logging
import warnings

import torch

from nsdrecon.errors import InputError

logger = logging.getLogger(__name__)

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def choose_device(wanted: str, threads: int) -> str:
    """``cpu`` or ``cuda``, for a job; what it is called goes into the log.

    Parameters
    ----------
    wanted
        ``cpu``, ``cuda``, or ``auto``: a GPU if the job has one.
    threads
        CPU threads of the job.

    Raises
    ------
    InputError
        If a GPU is wanted and there is none, or if there is one that torch cannot use.
    """
    torch.set_num_threads(threads)
    if wanted != "cpu":
        available = _gpu_available()
        if wanted == "cuda" and not available:
            raise InputError(
                "device",
                found="cuda, but this job sees no GPU",
                expected="a GPU on the node",
                remedy="Set device: auto, or give the rule a GPU (resources: gpu).",
            )
        wanted = "cuda" if available else "cpu"
    name = torch.cuda.get_device_name() if wanted == "cuda" else f"{threads} threads"
    logger.info("device: %s (%s)", wanted, name)
    return wanted


def number_format(precision: str, device: str | torch.device) -> torch.dtype:
    """The type of a precision, one of `PRECISIONS`, on a device that computes in it.

    Raises
    ------
    InputError
        If the GPU has no bfloat16: torch would imitate it, slower than float32.
    """
    on_gpu = torch.device(device).type == "cuda"
    if precision == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported(False):
        raise InputError(
            "precision",
            found=f"bfloat16, which {torch.cuda.get_device_name()} does not compute in",
            expected="float32, or float16 where the setting allows it",
            remedy="Change the setting of this precision, or take a newer card.",
        )
    return PRECISIONS[precision]


def reuse_memory(device: str | torch.device) -> None:
    """Let what a network's layers free on a CPU be the memory of the next ones.

    glibc gives back every block of more than 32 MB as soon as it is free, and the system fills the
    next one with zeros: a seventh of the time of the published networks. Here that begins at 256
    MB. The process holds up to two thirds more memory for it, so this is not for the ridge, whose
    arrays have ever other sizes. Where the C library is another one nothing is changed.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and torch.device(device).type == "cpu":
        set_option(_MMAP_THRESHOLD, 1 << 28)
        set_option(_TRIM_THRESHOLD, 1 << 30)


def _gpu_available() -> bool:
    """Whether torch computes on a GPU here; a GPU that it cannot start is an error, not a CPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    # Of a machine without a GPU torch says nothing; of an old driver it warns, and finds no GPU.
    said = [str(one.message) for one in caught if "CUDA initialization" in str(one.message)]
    if said and not available:
        raise InputError(
            "GPU of this job",
            found=" ".join(said[0].split()),
            expected=f"a driver that fits torch {torch.__version__}",
            remedy="Install the build of torch for the driver's CUDA (docs/cluster.md), update the "
            "driver, or set device: cpu.",
        )
    return available
