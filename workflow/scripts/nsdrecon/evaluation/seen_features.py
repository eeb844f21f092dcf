"""What the networks that score see in the seen images, made once for all that is scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import torch

from nsdrecon.evaluation.networks import Device, FeatureExtractor, by_network
from nsdrecon.evaluation.pictures import Pictures
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.logs import progress
from nsdrecon.metrics import NetworkMetric
from nsdrecon.store import ID, create_h5, open_h5, read_array


def write_seen_features(
    stimuli: str | Path,
    output: str | Path,
    *,
    protocol_name: str,
    metrics: Sequence[NetworkMetric],
    device: Device = "cpu",
    batch_size: int = 32,
) -> None:
    """Write the features of all stimuli that metrics compare.

    Parameters
    ----------
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n_stimuli, height, width, 3), uint8.
    output
        HDF5 with ``nsd_id`` and for each metric float32 features (n_stimuli, n_features), written
        all or nothing. One network's are in memory at a time.
    protocol_name
        Says how pictures are resized.
    metrics
        Metrics of networks.
    device
        Where the networks run.
    batch_size
        Pictures that pass a network together.

    Raises
    ------
    InputError
        If pictures are not square uint8 RGB, or a network does not fit.
    """
    with open_h5(stimuli) as file, create_h5(output) as written:
        seen = Pictures(file, n_axes=4)
        written.create_dataset(ID, data=seen.nsd_id)
        for group in by_network(metrics):
            extract = FeatureExtractor(group, protocol(protocol_name), device)
            found = watched_features(extract, group, seen.sample(0), len(seen.nsd_id), batch_size)
            for name in list(found):
                written.create_dataset(_dataset(name), data=found.pop(name).cpu().numpy())
            del extract  # before the next network is loaded


def read_seen_features(
    path: str | Path, metrics: Sequence[NetworkMetric], nsd_id: np.ndarray, device: Device
) -> dict[str, torch.Tensor]:
    """Features of images, metric name to float32 (n_images, n_features), rows as in ``nsd_id``.

    Raises
    ------
    InputError
        If the file has no such metric or not all of the images.
    """
    return {
        metric.name: torch.from_numpy(read_array(path, _dataset(metric.name), nsd_id)).to(device)
        for metric in metrics
    }


def watched_features(
    extract: FeatureExtractor,
    metrics: Sequence[NetworkMetric],
    pictures: Iterator[np.ndarray],
    n_images: int,
    batch_size: int,
    what: str = "seen images",
) -> dict[str, torch.Tensor]:
    """What a network gives of pictures, metric name to features, with a bar of progress."""
    label = ", ".join(metric.name for metric in metrics)
    watched = progress(pictures, description=f"{label}: {what}", total=n_images)
    return extract(watched, n_images, batch_size)


def _dataset(metric: str) -> str:
    """The name of a metric's dataset; a slash would begin a group."""
    return quote(metric, safe=" ()")
