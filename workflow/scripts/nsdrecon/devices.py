"""Which device a job computes on, and with how many threads."""

from __future__ import annotations

import logging

import torch

from nsdrecon.errors import InputError

logger = logging.getLogger(__name__)

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


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
        If a GPU is wanted and there is none.
    """
    torch.set_num_threads(threads)
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device",
            found="cuda, but this job sees no GPU",
            expected="a GPU on the node",
            remedy="Set device: auto, or give the rule a GPU (resources: gpu).",
        )
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if wanted == "cuda" else f"{threads} threads"
    logger.info("device: %s (%s)", wanted, name)
    return wanted
