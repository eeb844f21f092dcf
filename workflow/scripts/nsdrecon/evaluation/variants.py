"""Other test responses and other splits, for questions that the main table does not answer.

How much do more repeats help? Does a decoder reach beyond the kinds of scenes it was trained on?
Each function writes files of the usual form; the usual rules run on them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from nsdrecon.checked_files import ROW_CACHE
from nsdrecon.errors import InputError, listing
from nsdrecon.randomness import integer_seed
from nsdrecon.store import ID, create_h5, dataset, open_h5, read_ids, read_rows, rows_of

logger = logging.getLogger(__name__)


def average_first_repeats(
    test_betas: str | Path, output: str | Path, *, n_repeats: int, of: int
) -> None:
    """Test responses averaged over the first repeats only.

    Parameters
    ----------
    test_betas
        HDF5 of test responses with ``trial_betas``, ``trial_nsd_id`` and ``trial``.
    output
        HDF5 with ``nsd_id``, ``betas``, ``repeats`` and the voxels, of the same form.
    n_repeats
        Repeats to average, in the order of the trials.
    of
        Only images with at least this many repeats are kept, so that every ``n_repeats`` up to it
        speaks of the same images.

    Raises
    ------
    InputError
        If ``n_repeats`` is not 1 to ``of``, or no image has ``of`` repeats.
    """
    if not 1 <= n_repeats <= of:
        raise InputError("repeats to average", found=n_repeats, expected=f"1 to {of}")
    with open_h5(test_betas) as file:
        order = np.argsort(dataset(file, "trial")[()], kind="stable")
        shown = dataset(file, "trial_nsd_id")[()][order]
        images, counts = np.unique(shown, return_counts=True)
        kept = images[counts >= of]
        if not len(kept):
            raise InputError(
                test_betas,
                found=f"at most {counts.max(initial=0)} repeats of an image",
                expected=f"images with {of}",
                remedy="Use more sessions (`sessions` in the section of the data set), or set "
                "evaluation.repeats: [].",
            )
        rows = np.array([order[shown == image][:n_repeats] for image in kept])
        trials = dataset(file, "trial_betas")
        with create_h5(output) as result:
            result.create_dataset(ID, data=kept)
            result.create_dataset("repeats", data=np.full(len(kept), n_repeats))
            for name in ("voxel", "affine"):
                result.create_dataset(name, data=dataset(file, name)[()])
            shape = (len(kept), trials.shape[1])
            means = result.create_dataset("betas", shape, np.float32)
            for columns in _voxel_blocks(trials.shape):
                block = trials[:, columns].astype(np.float64)
                means[:, columns] = block[rows].mean(axis=1)
            result.attrs.update(dict(file.attrs) | {"averaged_repeats": n_repeats})
    logger.info("%d of %d images have %d repeats", len(kept), len(images), of)


def semantic_clusters(
    training: str | Path, *, n_clusters: int, seed: int, others: Sequence[str | Path] = ()
) -> pd.DataFrame:
    """Group images by the meaning of their captions.

    The clusters are those of the training images; other images get the cluster whose centre is
    nearest. They serve two questions: identification among images of the same cluster (hard
    negatives), and training without a cluster to decode test images of just that cluster.

    Parameters
    ----------
    training
        HDF5 with ``latents`` of the caption features of the training images. The tokens of an image
        are averaged.
    n_clusters
        Number of clusters (k-means).
    seed
        Seed of the starting centres.
    others
        The same for other images, such as the test images.

    Returns
    -------
    ``nsd_id`` and ``category``, sorted by id. The training images' categories do not depend on the
    others.

    Raises
    ------
    InputError
        If an image is in two files, or there are fewer training images than clusters.
    """
    found = [_caption_means(path) for path in (training, *others)]
    nsd_id = np.concatenate([ids for ids, _ in found])
    values, counts = np.unique(nsd_id, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            "caption features", found=f"nsd_id {listing(values[counts > 1])} twice", expected="once"
        )
    ids, means = found[0]
    if len(ids) < n_clusters:
        raise InputError(training, found=f"{len(ids)} images", expected=f"{n_clusters} or more")
    state = integer_seed(seed, "semantic clusters") % 2**32
    order = np.argsort(ids)
    model = KMeans(n_clusters, n_init=10, random_state=state).fit(means[order])
    labels = np.concatenate([model.predict(means) for _, means in found])
    table = pd.DataFrame({ID: nsd_id, "category": labels}).sort_values(ID, ignore_index=True)
    logger.info("images a cluster: %s", np.bincount(labels, minlength=n_clusters).tolist())
    return table


def _caption_means(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids, and the mean over tokens of each image's features, (n_images, width)."""
    nsd_id = read_ids(path)
    with open_h5(path) as file:
        shape = tuple(int(size) for size in file.attrs["shape"])
        latents = dataset(file, "latents")
        means = [_token_mean(block, shape) for block in _row_blocks(latents)]
    return nsd_id, np.concatenate(means)


def select_images(source: str | Path, nsd_id: np.ndarray, output: str | Path) -> None:
    """Copy some images' rows of a file, in blocks; what is not by image is copied whole.

    Parameters
    ----------
    source
        HDF5 of averaged responses or of latents.
    nsd_id
        Images to keep; rows are sorted by id.
    output
        HDF5 of the same form, written all or nothing.
    """
    available = read_ids(source)
    rows = np.sort(rows_of(nsd_id, available, source))
    with open_h5(source, ROW_CACHE) as file, create_h5(output) as result:
        for name, values in file.items():
            if name not in _BY_IMAGE:
                result.create_dataset(name, data=values[()])
                continue
            kept = result.create_dataset(name, (len(rows), *values.shape[1:]), values.dtype)
            step = max(1, _BLOCK_ELEMENTS // max(int(np.prod(values.shape[1:])), 1))
            for start in range(0, len(rows), step):
                kept[start : start + step] = read_rows(values, rows[start : start + step])
        result.attrs.update(dict(file.attrs))
    logger.info("%d of %d images kept", len(rows), len(available))


def holdout_table(
    full: pd.DataFrame, held_out: pd.DataFrame, clusters: pd.DataFrame, left_out: Sequence[int]
) -> pd.DataFrame:
    """Both decoders' scores of test images outside and inside the clusters that were left out.

    Parameters
    ----------
    full, held_out
        Per-image tables of one system and subject: trained on everything, and without the clusters.
    clusters
        Table of :func:`semantic_clusters` with the test images.
    left_out
        The clusters.

    Returns
    -------
    The rows of both, with the columns ``training`` (``all clusters``, ``clusters left out``) and
    ``images`` (``other clusters``, ``left-out clusters``).
    """
    _, inside = without_clusters(clusters, full[ID].unique(), left_out)
    tables = {"all clusters": full, "clusters left out": held_out}
    return pd.concat(
        table.assign(
            training=training,
            images=np.where(table[ID].isin(inside), "left-out clusters", "other clusters"),
        )
        for training, table in tables.items()
    )


def without_clusters(
    clusters: pd.DataFrame, nsd_id: np.ndarray, held_out: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Split ids into those outside and those inside the clusters that are held out.

    Train on the first part of the training images; what is special about unseen kinds of scenes
    shows in the second part of the test images.

    Parameters
    ----------
    clusters
        Table of :func:`semantic_clusters`.
    nsd_id
        Images to split.
    held_out
        Clusters to leave out.

    Returns
    -------
    (ids outside, ids inside), each in the order of ``nsd_id``.

    Raises
    ------
    InputError
        If an image has no cluster, a cluster does not exist, or one of the parts is empty.
    """
    unknown = np.setdiff1d(held_out, clusters["category"])
    if len(unknown):
        raise InputError("clusters to hold out", found=listing(unknown), expected="known clusters")
    category = clusters.set_index(ID)["category"].reindex(nsd_id)
    if category.isna().any():
        raise InputError(
            "semantic clusters",
            found=f"no cluster for nsd_id {listing(category.index[category.isna()])}",
            expected="a cluster for each image",
        )
    inside = category.isin(list(held_out)).to_numpy()
    if inside.all() or not inside.any():
        raise InputError(
            "clusters to hold out",
            found=f"{inside.sum()} of {len(inside)} images",
            expected="some images on both sides",
        )
    nsd_id = np.asarray(nsd_id)
    return nsd_id[~inside], nsd_id[inside]


_BLOCK_ELEMENTS = 1 << 24
# Of responses and latents. By their number voxels can look like images.
_BY_IMAGE = (ID, "betas", "repeats", "latents")


def _voxel_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _BLOCK_ELEMENTS // max(shape[0], 1))
    yield from (slice(start, start + step) for start in range(0, shape[1], step))


def _row_blocks(latents: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _BLOCK_ELEMENTS // max(latents.shape[1], 1))
    yield from (latents[start : start + step] for start in range(0, len(latents), step))


def _token_mean(block: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Mean over the tokens of (n, n_tokens * width) features, (n, width) float32."""
    return (
        block.reshape(len(block), -1, shape[-1]).mean(axis=1, dtype=np.float64).astype(np.float32)
    )
