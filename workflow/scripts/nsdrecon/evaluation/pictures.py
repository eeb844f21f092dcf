"""Pictures of a file by the ids of their images."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from nsdrecon.errors import InputError, listing
from nsdrecon.store import ID, dataset, rows_of, unique_ids


class Pictures:
    """Pictures of an open file by ``nsd_id`` (default: all), in the order of the sorted ids."""

    def __init__(self, file: h5py.File, n_axes: int, nsd_id: np.ndarray | None = None) -> None:
        self.source = file.filename
        self.images = dataset(file, "images")
        shape = self.images.shape
        if (
            self.images.dtype != np.uint8
            or len(shape) != n_axes
            or shape[-1] != 3
            or shape[-3] != shape[-2]
            or 0 in shape
        ):
            kind = "(n, samples, size, size, 3)" if n_axes == 5 else "(n, size, size, 3)"
            raise InputError(
                self.source,
                found=f"images of shape {shape} and type {self.images.dtype}",
                expected=f"uint8 {kind}",
            )
        found = unique_ids(dataset(file, ID)[()], self.source)
        if len(found) != shape[0]:
            raise InputError(self.source, found=f"{len(found)} ids", expected=f"{shape[0]}")
        self.nsd_id = np.sort(found if nsd_id is None else unique_ids(nsd_id, "test images"))
        self._rows = rows_of(self.nsd_id, found, self.source)
        self.n_samples = shape[1] if n_axes == 5 else 1
        self._sampled = n_axes == 5
        self.attributes = dict(file.attrs)

    def sample(self, sample: int) -> Iterator[np.ndarray]:
        """One sample of every image, uint8 (size, size, 3), in the order of the ids."""
        for position in range(len(self.nsd_id)):
            yield self.read(position, sample)

    def read(self, position: int, sample: int = 0) -> np.ndarray:
        """One sample of an image, uint8 (size, size, 3), by its position among the sorted ids."""
        row = self._rows[position]
        return self.images[row, sample] if self._sampled else self.images[row]

    def attribute(self, name: str) -> str:
        """An attribute of the file, as text."""
        if name not in self.attributes:
            raise InputError(
                self.source,
                found=f"attributes {listing(self.attributes) or '(none)'}",
                expected=f"an attribute {name!r}",
            )
        return str(self.attributes[name])
