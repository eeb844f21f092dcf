"""A session's voxels from where the data set is kept: by ranges, or out of the whole volume."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from nsdrecon.data.volumes import Voxels, read_session
from nsdrecon.transfer.chunks import read_voxels
from nsdrecon.transfer.s3 import Bucket, download_s3
from nsdrecon.transfer.sources import NoRanges

logger = logging.getLogger(__name__)


def read_remote_session(
    bucket: Bucket, key: str, voxels: Voxels, n_trials: int, folder: str | Path
) -> np.ndarray:
    """Betas of one session at the voxels, as `volumes.read_session` gives them.

    Just the voxels travel, if the server and the layout of the file allow it. If not, the log says
    why, and the whole volume is fetched, read and removed.

    Parameters
    ----------
    bucket, key
        Where the session's HDF5 file is.
    voxels
        From the subject's mask.
    n_trials
        How many trials the session has by the experiment's design.
    folder
        Where a whole volume may lie meanwhile.

    Returns
    -------
    Shape (n_trials, n_voxels), int16.

    Raises
    ------
    InputError
        If the file cannot be had, is damaged, or does not fit the mask or the design.
    TransferError
        If the network fails for longer than the patience lasts.
    """
    try:
        return read_voxels(bucket, key, voxels.index, voxels.shape, n_trials)
    except NoRanges as refusal:
        logger.warning("%s The whole volume is fetched in place of its voxels.", refusal)
    volume = Path(folder) / key.rpartition("/")[2]
    download_s3(bucket, key, volume)
    try:
        return read_session(volume, voxels, n_trials)
    finally:
        volume.unlink()
