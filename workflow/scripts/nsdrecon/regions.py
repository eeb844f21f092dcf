"""Regions of the brain: which labels of which of NSD's volumes they are.

Imports nothing heavy: the workflow reads this module whenever it is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Region:
    """A region of interest.

    Parameters
    ----------
    name
        In tables and figures.
    volume
        Volume of labels, by its name in NSD's folder of ROIs.
    labels
        Labels of the voxels that belong to it; none stands for all above 0.
    """

    name: str
    volume: str
    labels: tuple[int, ...] = ()


REGIONS = (
    Region("V1", "prf-visualrois", (1, 2)),
    Region("V2", "prf-visualrois", (3, 4)),
    Region("V3", "prf-visualrois", (5, 6)),
    Region("V4", "prf-visualrois", (7,)),
    Region("ecc0.5", "prf-eccrois", (1,)),
    Region("ecc1", "prf-eccrois", (2,)),
    Region("ecc2", "prf-eccrois", (3,)),
    Region("ecc4", "prf-eccrois", (4,)),
    Region("ecc4+", "prf-eccrois", (5,)),
    Region("faces", "floc-faces"),
    Region("words", "floc-words"),
    Region("places", "floc-places"),
    Region("bodies", "floc-bodies"),
    Region("early", "streams", (1,)),
    Region("midventral", "streams", (2,)),
    Region("midlateral", "streams", (3,)),
    Region("midparietal", "streams", (4,)),
    Region("ventral", "streams", (5,)),
    Region("lateral", "streams", (6,)),
    Region("parietal", "streams", (7,)),
)
"""The regions of every run: visual areas, eccentricity bands, what faces, words, places and bodies
drive, and streams."""


def with_own(own: Mapping[str, Mapping[str, Any]]) -> list[Region]:
    """The regions of a run: those above, and the user's, which replace those of the same name.

    Parameters
    ----------
    own
        Name to ``volume`` and, optionally, ``labels``.
    """
    rows = {region.name: region for region in REGIONS}
    for name, row in own.items():
        rows[name] = Region(name, row["volume"], tuple(row.get("labels", ())))
    return list(rows.values())


def volumes(regions: Iterable[Region]) -> list[str]:
    """The volumes that regions are in, each once."""
    return list(dict.fromkeys(region.volume for region in regions))
