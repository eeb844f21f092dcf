"""Floors: 'systems' that know less than a decoder, scored like any system's reconstructions.

======================  ==========================================================================
shuffled-<system>       the system's reconstruction of another test image (the wrong brain response)
mean-image              the mean of the subject's training images
flat-grey               mid-grey
random-training-image   a training image drawn at random for each test image
nearest-training-image  the training image whose response is most like the test response
======================  ==========================================================================

What a metric gives them is what it gives without decoding: flat grey, for instance, has a high
SSIM.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from nsdrecon.errors import InputError
from nsdrecon.evaluation.similarity import correlation_matrix
from nsdrecon.randomness import generator
from nsdrecon.store import (
    ID,
    create_h5,
    dataset,
    open_h5,
    read_array,
    read_ids,
    rows_of,
    unique_ids,
)

logger = logging.getLogger(__name__)

MID_GREY = 128


def shuffled_order(nsd_id: np.ndarray, *, subject: str, seed: int) -> np.ndarray:
    """Which image's reconstruction each image gets instead of its own (the wrong brain response).

    The order is one random cycle through all images, so no image keeps its own. It depends on the
    seed, the subject and the set of images alone: all systems of a subject are shuffled alike.

    Parameters
    ----------
    nsd_id
        Sorted ids of the images.
    subject
        Whose responses they are.
    seed
        Seed of the order.

    Returns
    -------
    Positions among ``nsd_id``, shape (n_images,).

    Raises
    ------
    InputError
        If there are fewer than two images.
    """
    if len(nsd_id) < 2:
        raise InputError("shuffled brain", found=f"{len(nsd_id)} images", expected="2 or more")
    cycle = generator(seed, subject, "shuffled brain").permutation(nsd_id)
    other = dict(zip(cycle.tolist(), np.roll(cycle, 1).tolist(), strict=True))
    return rows_of(np.array([other[image] for image in nsd_id.tolist()]), nsd_id, "shuffled brain")


def mean_image(
    training_stimuli: str | Path, nsd_id: np.ndarray, output: str | Path, *, subject: str
) -> None:
    """Give every test image the mean of the training images.

    Parameters
    ----------
    training_stimuli
        HDF5 with ``images`` (n, size, size, 3), uint8; read image by image.
    nsd_id
        Test images.
    output
        Reconstructions with one sample.
    subject
        Label of the output.
    """
    with open_h5(training_stimuli) as file:
        images = dataset(file, "images")
        if not len(images):
            raise InputError(training_stimuli, found="no images", expected="training images")
        total = np.zeros(images.shape[1:])
        for row in range(len(images)):
            total += images[row]
        mean = np.rint(total / len(images)).astype(np.uint8)
    _write_one_picture(output, nsd_id, mean, _labels(subject, "mean-image"))


def flat_grey(size: int, nsd_id: np.ndarray, output: str | Path, *, subject: str) -> None:
    """Give every test image a mid-grey picture of ``size`` x ``size`` pixels."""
    picture = np.full((size, size, 3), MID_GREY, dtype=np.uint8)
    _write_one_picture(output, nsd_id, picture, _labels(subject, "flat-grey"))


def random_training_image(
    training_stimuli: str | Path, nsd_id: np.ndarray, output: str | Path, *, subject: str, seed: int
) -> None:
    """Give every test image a training image drawn at random (with replacement).

    The draw belongs to the test image: keyed by seed, subject and ``nsd_id``.
    """
    training = np.sort(read_ids(training_stimuli))
    picked = np.array(
        [
            training[
                generator(seed, subject, int(image), "random training image").integers(
                    len(training)
                )
            ]
            for image in nsd_id
        ]
    )
    _write_training_images(
        training_stimuli,
        nsd_id,
        picked,
        output,
        _labels(subject, "random-training-image") | {"seed": seed},
    )


def nearest_training_image(
    training_stimuli: str | Path,
    training_betas: str | Path,
    test_betas: str | Path,
    output: str | Path,
    *,
    subject: str,
) -> None:
    """Give every test image the training image with the most similar response.

    Voxels are standardised by their mean and standard deviation over the training images;
    likeness is the Pearson correlation over voxels between the averaged test response and each
    averaged training response. Voxels that are constant in training are left out. Of equal ones
    the smaller id is taken. Nothing of the test images themselves is used.

    Parameters
    ----------
    training_stimuli
        HDF5 with ``images`` of the training images.
    training_betas, test_betas
        HDF5 with ``betas`` (n, n_voxels) of the same voxels.
    output
        Reconstructions with one sample; ``training_id`` names the image taken.
    subject
        Label of the output.
    """
    training_id, test_id = np.sort(read_ids(training_betas)), np.sort(read_ids(test_betas))
    training = read_array(training_betas, "betas", training_id).astype(np.float32)
    test = read_array(test_betas, "betas", test_id).astype(np.float32)
    if training.shape[1] != test.shape[1]:
        raise InputError(
            test_betas,
            found=f"{test.shape[1]} voxels",
            expected=f"{training.shape[1]} as in {training_betas}",
        )
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    varying = deviation > 0
    training = (training[:, varying] - mean[varying]) / deviation[varying]
    test = (test[:, varying] - mean[varying]) / deviation[varying]
    likeness = correlation_matrix(training, test)
    undefined = np.isnan(likeness).all(axis=0)
    if undefined.any():
        raise InputError(
            test_betas,
            found=f"the same value in all voxels for nsd_id {test_id[undefined][0]}",
            expected="responses that vary over voxels",
        )
    picked = training_id[np.nanargmax(likeness, axis=0)]
    logger.info(
        "mean correlation with the nearest training response: %.3f",
        np.nanmax(likeness, axis=0).mean(),
    )
    _write_training_images(
        training_stimuli, test_id, picked, output, _labels(subject, "nearest-training-image")
    )


def _labels(subject: str, system: str) -> dict[str, object]:
    return {"subject": subject, "system": system}


def _write_one_picture(
    output: str | Path, nsd_id: np.ndarray, picture: np.ndarray, attributes: Mapping[str, object]
) -> None:
    nsd_id = np.sort(unique_ids(nsd_id, output))
    pictures = (picture[None] for _ in nsd_id)
    _write(output, nsd_id, pictures, (1, *picture.shape), attributes)


def _write_training_images(
    training_stimuli: str | Path,
    nsd_id: np.ndarray,
    picked: np.ndarray,
    output: str | Path,
    attributes: Mapping[str, object],
) -> None:
    """Write training images as the reconstructions of test images, read one by one."""
    nsd_id = unique_ids(nsd_id, output)
    order = np.argsort(nsd_id)
    with open_h5(training_stimuli) as file:
        images = dataset(file, "images")
        rows = rows_of(picked[order], dataset(file, ID)[()], training_stimuli)
        pictures = (images[row][None] for row in rows)
        extra = {"training_id": picked[order]}
        _write(output, nsd_id[order], pictures, (1, *images.shape[1:]), attributes, extra)


def _write(
    output: str | Path,
    nsd_id: np.ndarray,
    pictures: Iterator[np.ndarray],
    shape: tuple[int, ...],
    attributes: Mapping[str, object],
    extra: Mapping[str, np.ndarray] | None = None,
) -> None:
    with create_h5(output) as file:
        file.create_dataset(ID, data=nsd_id)
        # Flat and mean images, and drawn ones, shrink to a fraction.
        packed = {"chunks": (1, *shape), "compression": "gzip", "compression_opts": 1}
        images = file.create_dataset("images", (len(nsd_id), *shape), np.uint8, **packed)
        for row, picture in enumerate(pictures):
            images[row] = picture
        for name, values in (extra or {}).items():
            file.create_dataset(name, data=values)
        file.attrs.update(attributes)
    logger.info("%s: %d images", attributes["system"], len(nsd_id))
