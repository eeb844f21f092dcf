"""The simulated brain's shape and its regions of interest, as volumes of labels.

The brain is an ellipsoid whose outer shell is cortex. ``nsdgeneral`` is the most posterior part of
the cortex; from its back to its front it holds V1, V2, V3, then intermediate and high-level areas,
which split into a ventral, a lateral and a parietal stream. Labels follow NSD: -1 outside the
cortex, 0 in unlabelled cortex, 1..N in the regions (Allen et al., 2022, and its data manual).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nsdrecon.randomness import generator

# Half axes of the brain as fractions of the volume; along y it touches the volume's edges.
_HALF_AXES = (0.46, 0.5, 0.46)
_CORTEX_DEPTH = 0.62  # relative radius where the cortex begins

EARLY_AREAS = ("V1", "V2", "V3", "hV4")
_EARLY_SHARES = (0.2, 0.16, 0.12)  # of nsdgeneral: V1, V2, V3
_MID_SHARE = 0.18  # of nsdgeneral: the intermediate band, hV4 included
_HV4_SHARE = 0.5  # of the ventral part of the intermediate band

STREAMS = ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal")
_ECCENTRICITY_BORDERS = (0.5, 1.0, 2.0, 4.0)  # degrees
_MAX_ECCENTRICITY = 5.5  # degrees; the stimuli reach 4.2 from fixation

# Category-selective regions: volume -> name of each label -> (stream, range from back to front,
# range from the midline outwards), as fractions of the stream. Volumes overlap, as they do in NSD.
FLOC_REGIONS: dict[str, dict[str, tuple[str, tuple[float, float], tuple[float, float]]]] = {
    "floc-faces": {
        "OFA": ("midlateral", (0.4, 1.0), (0.0, 1.0)),
        "FFA-1": ("ventral", (0.0, 0.35), (0.55, 1.0)),
        "FFA-2": ("ventral", (0.35, 0.7), (0.55, 1.0)),
        "mTL-faces": ("ventral", (0.7, 0.88), (0.55, 1.0)),
        "aTL-faces": ("ventral", (0.88, 1.0), (0.4, 1.0)),
    },
    "floc-words": {
        "OWFA": ("midventral", (0.5, 1.0), (0.5, 1.0)),
        "VWFA-1": ("ventral", (0.0, 0.25), (0.4, 0.6)),
        "VWFA-2": ("ventral", (0.25, 0.5), (0.4, 0.6)),
        "mfs-words": ("ventral", (0.5, 0.7), (0.4, 0.6)),
        "mTL-words": ("lateral", (0.7, 0.85), (0.0, 1.0)),
    },
    "floc-places": {
        "OPA": ("parietal", (0.0, 0.5), (0.5, 1.0)),
        "PPA": ("ventral", (0.05, 0.75), (0.0, 0.4)),
        "RSC": ("parietal", (0.4, 1.0), (0.0, 0.5)),
    },
    "floc-bodies": {
        "EBA": ("lateral", (0.0, 0.6), (0.0, 1.0)),
        "FBA-1": ("ventral", (0.0, 0.3), (0.7, 1.0)),
        "FBA-2": ("ventral", (0.3, 0.6), (0.7, 1.0)),
        "mTL-bodies": ("lateral", (0.85, 1.0), (0.0, 1.0)),
    },
}


def _radius(shape: tuple[int, int, int]) -> np.ndarray:
    """Distance from the centre relative to the brain's surface, (X, Y, Z)."""
    grid = np.indices(shape, dtype=float)
    total = np.zeros(shape)
    for axis, (side, half) in enumerate(zip(shape, _HALF_AXES, strict=True)):
        total += ((grid[axis] - (side - 1) / 2) / (half * side)) ** 2
    return np.sqrt(total)


def brain_mask(shape: tuple[int, int, int]) -> np.ndarray:
    """Voxels inside the brain, bool (X, Y, Z)."""
    return _radius(shape) < 1


def cortex_mask(shape: tuple[int, int, int]) -> np.ndarray:
    """Voxels of the cortex, bool (X, Y, Z)."""
    radius = _radius(shape)
    return (radius >= _CORTEX_DEPTH) & (radius < 1)


def _rank(values: np.ndarray) -> np.ndarray:
    """Ranks as fractions in [0, 1)."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(1, len(values))


@dataclass(frozen=True)
class Anatomy:
    """Regions of one subject.

    All arrays below hold one value a voxel of nsdgeneral, in C order of the (X, Y, Z) volume.

    Parameters
    ----------
    shape : (X, Y, Z) of the volume.
    n_voxels : voxels of nsdgeneral.
    key : key of this brain's random numbers.
    """

    shape: tuple[int, int, int]
    n_voxels: int
    key: tuple[int | str, ...]

    @cached_property
    def brain(self) -> np.ndarray:
        """Bool (X, Y, Z)."""
        return brain_mask(self.shape)

    @cached_property
    def cortex(self) -> np.ndarray:
        """Bool (X, Y, Z)."""
        return cortex_mask(self.shape)

    @cached_property
    def general(self) -> np.ndarray:
        """The mask of nsdgeneral, bool (X, Y, Z)."""
        where = np.argwhere(self.cortex)
        noise = generator(*self.key, "border").uniform(-0.02, 0.02, len(where))
        height = where[:, 2] / self.shape[2] - 0.5
        # Further to the front below than above, as along the ventral stream.
        backness = where[:, 1] / self.shape[1] + 0.4 * np.maximum(height, 0) + noise
        chosen = where[np.argsort(backness, kind="stable")[: self.n_voxels]]
        mask = np.zeros(self.shape, dtype=bool)
        mask[tuple(chosen.T)] = True
        return mask

    @cached_property
    def _positions(self) -> np.ndarray:
        """Coordinates relative to the volume's centre, (n_voxels, 3), each about [-0.5, 0.5]."""
        return np.argwhere(self.general) / np.array(self.shape) - 0.5

    @property
    def right(self) -> np.ndarray:
        """Whether a voxel is in the right hemisphere."""
        return self._positions[:, 0] > 0

    @cached_property
    def _frontness(self) -> np.ndarray:
        """Rank from the back to the front within the hemisphere, [0, 1)."""
        frontness = np.empty(self.n_voxels)
        for side in (False, True):
            inside = self.right == side
            frontness[inside] = _rank(self._positions[inside, 1])
        return frontness

    @cached_property
    def stream(self) -> np.ndarray:
        """Label of each voxel in the atlas of streams: 1..7, an index into STREAMS plus 1."""
        early, mid = sum(_EARLY_SHARES), sum(_EARLY_SHARES) + _MID_SHARE
        height = self._positions[:, 2]
        # 0 ventral, 1 lateral, 2 parietal
        branch = np.digitize(height, np.quantile(height, [0.4, 0.7]))
        stream = np.where(self._frontness < mid, 2 + branch, 5 + branch)
        return np.where(self._frontness < early, 1, stream)

    @cached_property
    def area(self) -> np.ndarray:
        """Visual area of each voxel: an index into EARLY_AREAS, or -1."""
        area = np.digitize(self._frontness, np.cumsum(_EARLY_SHARES))
        area[self.stream > 1] = -1
        ventral = np.flatnonzero(self.stream == 1 + STREAMS.index("midventral"))
        back = ventral[_rank(self._frontness[ventral]) < _HV4_SHARE]
        area[back] = EARLY_AREAS.index("hV4")
        return area

    @cached_property
    def eccentricity(self) -> np.ndarray:
        """Distance of the receptive field from fixation in degrees; NaN outside V1 to hV4.

        The fovea is represented on the outer side of each area, the periphery at the midline.
        """
        eccentricity = np.full(self.n_voxels, np.nan)
        distance = np.abs(self._positions[:, 0])
        for area in range(len(EARLY_AREAS)):
            for side in (False, True):
                inside = np.flatnonzero((self.area == area) & (self.right == side))
                # More cortex serves the fovea than the periphery: cortical magnification.
                eccentricity[inside] = 0.1 + _MAX_ECCENTRICITY * _rank(-distance[inside]) ** 1.5
        return eccentricity

    @cached_property
    def angle(self) -> np.ndarray:
        """Polar angle of the receptive field in radians, anticlockwise from the right; or NaN.

        Each hemisphere sees the opposite half of the field; what lies below in the brain sees
        what is above.
        """
        elevation = np.full(self.n_voxels, np.nan)
        for area in range(len(EARLY_AREAS)):
            for side in (False, True):
                inside = np.flatnonzero((self.area == area) & (self.right == side))
                elevation[inside] = np.pi * (0.5 - _rank(self._positions[inside, 2]))
        return np.where(self.right, np.pi - elevation, elevation)

    @cached_property
    def _branch_place(self) -> tuple[np.ndarray, np.ndarray]:
        """Ranks within the stream and hemisphere: back to front, midline outwards."""
        back, out = np.zeros(self.n_voxels), np.zeros(self.n_voxels)
        for stream in range(1, len(STREAMS) + 1):
            for side in (False, True):
                inside = np.flatnonzero((self.stream == stream) & (self.right == side))
                back[inside] = _rank(self._positions[inside, 1])
                out[inside] = _rank(np.abs(self._positions[inside, 0]))
        return back, out

    def floc(self, volume: str) -> np.ndarray:
        """Labels of one volume of category-selective regions: 0 or 1..N."""
        back, out = self._branch_place
        labels = np.zeros(self.n_voxels, dtype=np.int64)
        for label, (stream, along, across) in enumerate(FLOC_REGIONS[volume].values(), start=1):
            inside = self.stream == 1 + STREAMS.index(stream)
            inside &= (back >= along[0]) & (back < along[1])
            inside &= (out >= across[0]) & (out < across[1])
            labels[inside] = label
        return labels

    @property
    def visual_rois(self) -> np.ndarray:
        """Labels of ``prf-visualrois``: V1v V1d V2v V2d V3v V3d hV4 are 1 to 7, others 0."""
        labels = np.zeros(self.n_voxels, dtype=np.int64)
        upper_field = np.sin(np.nan_to_num(self.angle)) >= 0  # served by the ventral parts
        for area in range(3):
            labels[(self.area == area) & upper_field] = 1 + 2 * area
            labels[(self.area == area) & ~upper_field] = 2 + 2 * area
        labels[self.area == EARLY_AREAS.index("hV4")] = 7
        return labels

    @property
    def eccentricity_rois(self) -> np.ndarray:
        """Labels of ``prf-eccrois``: up to 0.5, 1, 2, 4 degrees and beyond are 1 to 5, others 0."""
        labels = 1 + np.digitize(np.nan_to_num(self.eccentricity), _ECCENTRICITY_BORDERS)
        return np.where(self.area >= 0, labels, 0)

    def label_volumes(self) -> dict[str, np.ndarray]:
        """Name of each ROI volume and its labels, int16 (X, Y, Z)."""
        labels = {
            "nsdgeneral": np.ones(self.n_voxels, dtype=np.int64),
            "prf-visualrois": self.visual_rois,
            "prf-eccrois": self.eccentricity_rois,
            "streams": self.stream,
        }
        labels |= {volume: self.floc(volume) for volume in FLOC_REGIONS}
        return {name: self._to_volume(values) for name, values in labels.items()}

    def _to_volume(self, labels: np.ndarray) -> np.ndarray:
        volume = np.where(self.cortex, 0, -1).astype(np.int16)
        volume[self.general] = labels
        return volume
