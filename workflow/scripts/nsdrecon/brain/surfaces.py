"""Maps of voxels on a cortical surface, by the user's own coordinates of its vertices.

A file of coordinates says of each vertex where it lies in the volume: (n_vertices, ..., 3), in
voxels counted from 1, as NSD's transforms to surfaces do (``lh.func1pt8-to-layerB2.mgz``). A vertex
has the value of the voxel that it lies in; none is made of several voxels, since there is nothing
outside of the mask to mix with.
"""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from nsdrecon.errors import InputError
from nsdrecon.whole_files import whole_file

logger = logging.getLogger(__name__)


def read_coordinates(path: str | Path) -> np.ndarray:
    """Coordinates of the vertices of a surface in voxels counted from 0, (n_vertices, 3) float64.

    Raises
    ------
    InputError
        If the file is missing or damaged, or does not have three numbers for each vertex.
    """
    try:
        values = np.asarray(nib.load(path).dataobj, dtype=np.float64)
    except (OSError, ImageFileError, ValueError) as error:
        raise InputError(
            path, found=f"what does not read ({error})", expected="coordinates of vertices"
        ) from error
    if values.ndim < 2 or values.shape[-1] != 3 or values.size // 3 != values.shape[0]:
        raise InputError(
            path,
            found=f"shape {values.shape}",
            expected="three coordinates for each vertex, (n, 1, 1, 3)",
        )
    return values.reshape(-1, 3) - 1


def project(volume: str | Path, coordinates: np.ndarray, output: str | Path) -> None:
    """Write a map as a GIFTI file of values, float32, one a vertex.

    Parameters
    ----------
    volume
        NIfTI file of a map; voxels that are not numbers lie outside.
    coordinates
        (n_vertices, 3) in voxels of the map, counted from 0.
    output
        File, written all or nothing. Vertices outside of the volume, or in a voxel that is not a
        number, are not numbers.

    Raises
    ------
    InputError
        If no vertex lies in a voxel with a value, though voxels have some: the coordinates are of
        another space.
    """
    values = np.asarray(nib.load(volume).dataobj)
    inside = ((coordinates > -0.5) & (coordinates < np.array(values.shape) - 0.5)).all(axis=1)
    places = np.rint(coordinates[inside]).astype(int)
    found = np.full(len(coordinates), np.nan, dtype=np.float32)
    found[inside] = values[tuple(places.T)]
    known = np.isfinite(found)
    # A map of nothing is no fault, such as the noise ceiling of data without repeats.
    if not known.any() and np.isfinite(values).any():
        raise InputError(
            output,
            found=f"no vertex of {len(found)} in a voxel with a value of {volume}",
            expected="coordinates in voxels of this volume, counted from 1",
        )
    array = nib.gifti.GiftiDataArray(found, intent="NIFTI_INTENT_SHAPE")
    with whole_file(output) as partial:
        nib.save(nib.GiftiImage(darrays=[array]), partial)
    logger.info("%s: %d of %d vertices have a value", output, known.sum(), len(found))
