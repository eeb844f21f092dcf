"""Published results on the Natural Scenes Dataset, to stand beside one's own.

A number is comparable only under the same protocol and on the same images: the 982 shared images
of the first 37 sessions, or the 1,000 of all 40 (subjects 1, 2, 5, 7). Published means come
without intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from nsdrecon.metrics import PUBLISHED_COLUMNS


@dataclass(frozen=True)
class PublishedResult:
    """One row of a published table, mean over its subjects unless its name says otherwise.

    Attributes
    ----------
    system
        Name of the method.
    source
        Where the numbers stand.
    protocol
        Protocol they were computed under; empty if unknown.
    test_set
        Images they were computed on.
    values
        Metric to value; identification as a share, not in per cent.
    certainty
        How far the numbers are known to be right.
    caution
        Why the row is not comparable, if it is not.
    """

    system: str
    source: str
    protocol: str
    test_set: str
    values: Mapping[str, float]
    certainty: str
    caution: str = ""


_SESSIONS_37 = "982 images (37 sessions)"
_SESSIONS_40 = "1,000 images (40 sessions)"
_NOT_STATED = "subjects, images and protocol not stated"

_PAPER = "quoted, not checked against the paper and not computed again here"
_AGREED = (
    "quoted, not checked against the paper itself, but the same as in a later paper's table "
    "(Brain-IT, ICLR 2026, as summarised by a reader); not computed again here"
)
_CLAIM = "claimed without code or files that would reproduce it"
_LEAK = (
    "in the code as published, the second stage starts from latents encoded from the test images "
    "themselves, not from brain responses; which state of the code gave the numbers is not known."
)


def _row(*values: float) -> dict[str, float]:
    """Values in the order of the published columns; a source may not give the last ones."""
    return dict(zip((row.name for row in PUBLISHED_COLUMNS), values, strict=False))


PUBLISHED = (
    PublishedResult(
        "Brain-Diffuser",
        "Ozcelik and VanRullen (2023), Scientific Reports 13, 15666",
        "brain-diffuser",
        _SESSIONS_37,
        _row(0.254, 0.356, 0.942, 0.962, 0.872, 0.915, 0.775, 0.423),
        _PAPER,
    ),
    PublishedResult(
        "MindEye",
        "Scotti et al. (2023), NeurIPS 36",
        "mindeye",
        _SESSIONS_37,
        _row(0.309, 0.323, 0.947, 0.978, 0.938, 0.941, 0.645, 0.367),
        _PAPER,
    ),
    PublishedResult(
        "MindEye2",
        "Scotti et al. (2024), ICML, PMLR 235",
        "mindeye",
        _SESSIONS_40,
        _row(0.322, 0.431, 0.961, 0.986, 0.954, 0.930, 0.619, 0.344),
        _AGREED,
    ),
    PublishedResult(
        "MindEye2, subject 1 alone",
        "evaluation notebook of github.com/MedARC-AI/MindEyeV2",
        "mindeye",
        _SESSIONS_40,
        _row(0.374, 0.439),
        "read from the notebook's stored output",
    ),
    PublishedResult(
        "NaturalScenesReconstruction, DDPM",
        "github.com/ahmetemirdagi/NaturalScenesReconstruction (2025), README",
        "",
        _NOT_STATED,
        _row(0.562, 0.467),
        _CLAIM,
        _LEAK,
    ),
    PublishedResult(
        "NaturalScenesReconstruction, Stable Diffusion",
        "github.com/ahmetemirdagi/NaturalScenesReconstruction (2025), README",
        "",
        _NOT_STATED,
        _row(0.673, 0.701),
        _CLAIM,
        _LEAK,
    ),
)


def published_table() -> pd.DataFrame:
    """All published values in long form, a row a value."""
    return pd.DataFrame(
        {
            "system": result.system,
            "metric": metric,
            "value": value,
            "protocol": result.protocol or "not stated",
            "test_set": result.test_set,
            "source": result.source,
            "certainty": result.certainty,
            "caution": result.caution,
        }
        for result in PUBLISHED
        for metric, value in result.values.items()
    )


def other_images(*, simulated: bool, of_nsd: bool, test: str) -> str:
    """A note that published results are of other images, if they are.

    Parameters
    ----------
    simulated, of_nsd
        Which data set it is.
    test
        A further test set; empty for the first one.
    """
    why = (
        "The data set is simulated"
        if simulated
        else "The data set is not NSD"
        if not of_nsd
        else f"A further test set, {test}"
        if test
        else ""
    )
    return f"{why}: the rows of published results are of other images." if why else ""
