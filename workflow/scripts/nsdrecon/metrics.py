"""The table of metrics: what reconstructions can be scored by, a column each.

A metric is a function or a class, and one row of ``METRICS``; rules, schema, scripts, tables and
figures take its name and its properties from there. Files of a user add rows of the same classes
(:mod:`nsdrecon.extensions`). Nothing heavy is imported here: the table is read whenever the
workflow is parsed, and what a row names is loaded by the jobs that score.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from inspect import isclass, signature
from pathlib import Path
from typing import Any

from nsdrecon.errors import InputError
from nsdrecon.extensions import check_title, implementation, rows, source

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

PROTOCOLS = ("brain-diffuser", "mindeye")
SAME_CATEGORY = "(same category)"
ANOTHER_NAME = (
    "Names of published metrics are for the published networks: give another network another name "
    "in evaluation.networks."
)


@dataclass(frozen=True)
class Score:
    """How the numbers of a metric are read.

    Attributes
    ----------
    better
        ``higher`` or ``lower``.
    miss
        What an undefined value counts as, such as the correlation with a constant picture: as much
        as no relation at all.
    percent
        Printed in per cent.
    """

    better: str = "higher"
    miss: float = 0.0
    percent: bool = False

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise InputError("Score", found=f"better={self.better!r}", expected="higher or lower")


SIMILARITY = Score()
# The two ways in which the features of a network are compared.
IDENTIFICATION = Score(percent=True)
DISTANCE = Score("lower", miss=1.0)


@dataclass(frozen=True)
class Metric:
    """A column of the tables of scores.

    Attributes
    ----------
    name
        Of the column.
    source
        ``module:Name`` of the function or class that computes it; ``:Name`` in a user's file.
    score
        How its numbers are read.
    protocol
        The only protocol under which this row is meant; by default every one.
    published
        Whether the published tables have this column.
    """

    name: str
    source: str
    score: Score = SIMILARITY
    _: KW_ONLY
    protocol: str | None = None
    published: bool = False


@dataclass(frozen=True)
class PixelMetric(Metric):
    """A metric of two pictures of one size.

    ``source`` is a function of the seen picture and the reconstruction, floating point in [0, 1],
    shape (height, width, 3), to a number, NaN where it is undefined.
    """


@dataclass(frozen=True)
class NetworkMetric(Metric):
    """A metric of a network's features.

    ``source`` is a class or function of a weight file (or folder) and a device. What it gives is
    called with pictures, a float32 tensor (n, 3, size, size) on that device, and returns their
    features, a row a picture.

    Attributes
    ----------
    score
        ``IDENTIFICATION`` (two-way) or ``DISTANCE`` (one minus the correlation of features).
    layer
        Module of the network whose output is compared, such as ``features.4``; by default what the
        network returns.
    size
        Height and width of the pictures, pixels, or those of each protocol; by default the
        network's own attribute ``size``.
    mean, std
        Red, green and blue mean and standard deviation that the pictures, in [0, 1], are
        standardised by.
    weights
        Weight file or folder; the configuration says where it is.
    sha256
        First digits of the published file's sha256, any one of which must fit; by default the file
        is not compared.
    """

    score: Score = IDENTIFICATION
    _: KW_ONLY
    layer: str = ""
    size: int | Mapping[str, int] | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    weights: str = ""
    sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.score not in (IDENTIFICATION, DISTANCE):
            raise InputError(
                f"metric {self.name!r}",
                found=self.score,
                expected="IDENTIFICATION or DISTANCE, by which features are compared",
            )

    def within_category(self) -> NetworkMetric:
        """The column of identification among images of the same category."""
        return replace(self, name=f"{self.name} {SAME_CATEGORY}", published=False)


METRICS: tuple[Metric, ...] = (
    PixelMetric("PixCorr", "nsdrecon.evaluation.pixels:pixel_correlation", published=True),
    PixelMetric(
        "SSIM",
        "nsdrecon.evaluation.pixels:ssim_along_columns",
        protocol="brain-diffuser",
        published=True,
    ),
    PixelMetric("SSIM", "nsdrecon.evaluation.pixels:ssim", protocol="mindeye", published=True),
    NetworkMetric(
        "AlexNet(2)",
        "nsdrecon.evaluation.networks:alexnet",
        layer="features.4",
        size={"brain-diffuser": 224, "mindeye": 256},
        sha256=("7be5be79",),
        published=True,
    ),
    NetworkMetric(
        "AlexNet(5)",
        "nsdrecon.evaluation.networks:alexnet",
        layer="features.11",
        size={"brain-diffuser": 224, "mindeye": 256},
        sha256=("7be5be79",),
        published=True,
    ),
    NetworkMetric(
        "Inception",
        "nsdrecon.evaluation.networks:inception_v3",
        layer="avgpool",
        size={"brain-diffuser": 224, "mindeye": 342},
        sha256=("0cc3c7bd",),
        published=True,
    ),
    NetworkMetric(
        "CLIP",
        "nsdrecon.evaluation.networks:clip_vit_l_14",
        size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        published=True,
    ),
    # torchvision's EfficientNet-B1 V1, whose file was renamed once without a change of weights;
    # and its default of MindEye's time and since, V2.
    NetworkMetric(
        "EffNet-B",
        "nsdrecon.evaluation.networks:efficientnet_b1",
        DISTANCE,
        layer="avgpool",
        size=224,
        sha256=("533bc792", "bac287d4"),
        protocol="brain-diffuser",
        published=True,
    ),
    NetworkMetric(
        "EffNet-B",
        "nsdrecon.evaluation.networks:efficientnet_b1",
        DISTANCE,
        layer="avgpool",
        size=255,
        sha256=("c27df63c",),
        protocol="mindeye",
        published=True,
    ),
    NetworkMetric(
        "SwAV",
        "nsdrecon.evaluation.networks:resnet50_swav",
        DISTANCE,
        layer="avgpool",
        size=224,
        published=True,
    ),
)


PUBLISHED_COLUMNS = tuple({row.name: row for row in METRICS if row.published}.values())
"""Columns of the published tables, each once, whatever the protocol."""


def identification_names(metrics: Iterable[Metric]) -> list[str]:
    """Columns of two-way identification."""
    return [metric.name for metric in metrics if metric.score == IDENTIFICATION]


def source_files(metrics: Iterable[Mapping[str, Any]]) -> list[Path]:
    """The files whose code computes metrics, given as plain values (:func:`as_params`)."""
    return sorted({source(row["source"]) for row in metrics})


def configured_metrics(
    protocol: str, networks: Iterable[Mapping[str, str]], extensions: Sequence[str] = ()
) -> list[Metric]:
    """The metrics of a configuration: those of pixels, then the networks in its order.

    Parameters
    ----------
    protocol
        Protocol of the run.
    networks
        ``name`` and ``weights`` of each network that scores. A name of the table, or of a user's
        file, stands for that network; any other for a CLIP in a folder of transformers. An entry
        with another ``protocol`` is left out.
    extensions
        Python files of the user. Their pixel metrics always score; their networks do where
        ``networks`` names them.

    Raises
    ------
    InputError
        If a file adds a row that cannot be used, such as one without a size under this protocol, or
        a name is double or too much like another.
    """
    every = [*METRICS, *added_rows(extensions)]
    table = [row for row in every if row.protocol in (None, protocol)]
    metrics: list[Metric] = [row for row in table if isinstance(row, PixelMetric)]
    by_name = {row.name: row for row in table if isinstance(row, NetworkMetric)}
    for entry in networks:
        if entry.get("protocol", protocol) == protocol:
            row = by_name.get(entry["name"]) or _any_clip(entry["name"], every)
            size = _size(row, protocol)
            metrics.append(replace(row, weights=entry["weights"], size=size))
    names = [_plain(metric.name) for metric in metrics]
    for metric in metrics:
        check_title(metric.name, "evaluation metrics")
        if names.count(_plain(metric.name)) > 1:
            raise InputError("evaluation metrics", found=f"{metric.name!r} twice", expected="once")
    return metrics


def added_rows(extensions: Iterable[str]) -> list[Metric]:
    """The rows under ``METRICS`` in a user's files.

    Raises
    ------
    InputError
        If a file does not run, or a row has the name of another or a protocol that is not there.
    """
    added: list[Metric] = []
    for path in extensions:
        for row in rows(path, "METRICS", Metric):
            if _plain(row.name) in {_plain(other.name) for other in (*METRICS, *added)}:
                raise InputError(
                    f"{path}: METRICS",
                    found=f"the name {row.name!r}, which another metric has",
                    expected="a name of its own, whatever the case and punctuation",
                )
            if row.protocol not in (None, *PROTOCOLS):
                raise InputError(
                    f"{path}: METRICS, {row.name!r}",
                    found=f"protocol {row.protocol!r}",
                    expected=f"None or one of {', '.join(PROTOCOLS)}",
                )
            added.append(row)
    return added


def check_added(extensions: Iterable[str]) -> None:
    """Look at what the rows of a user's files name. Imports it, so once a run, not in every job.

    Raises
    ------
    InputError
        If it is not there, or cannot be called as its kind is.
    """
    for row in added_rows(extensions):
        _check_source(row)


def check_published(path: str | Path, sha256: Sequence[str]) -> None:
    """Compare weights with those that a published metric is named after.

    Parameters
    ----------
    path
        Weight file.
    sha256
        First digits of the sha256 of files that may be meant; without any the file is not read.

    Raises
    ------
    InputError
        If there is no such file, or it is another.
    """
    if not sha256:
        return
    if not Path(path).is_file():
        raise InputError(path, found="no file", expected="the weights of a network")
    with Path(path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(tuple(sha256)):
        raise InputError(
            path,
            found=f"sha256 {digest[:16]}...",
            expected=f"{' or '.join(sha256)}...",
            remedy=ANOTHER_NAME,
        )


def as_params(metric: Metric) -> dict[str, Any]:
    """A metric as plain values, for the parameters of a rule."""
    return asdict(metric)


def from_params(row: Mapping[str, Any]) -> Metric:
    """The metric that :func:`as_params` was given."""
    kind = NetworkMetric if "weights" in row else PixelMetric
    return kind(**{**row, "score": Score(**row["score"])})


def _size(row: NetworkMetric, protocol: str) -> int | None:
    if not isinstance(row.size, Mapping):
        return row.size
    if protocol not in row.size:
        raise InputError(
            f"metric {row.name!r}",
            found=f"size of {', '.join(row.size) or 'no protocol'}",
            expected=f"that of {protocol} too, or one of all protocols",
        )
    return row.size[protocol]


def _any_clip(name: str, table: Iterable[Metric]) -> NetworkMetric:
    """A CLIP under a name that is not, and does not look like, one of the table."""
    for row in table:
        if _plain(row.name) == _plain(name):
            raise InputError(
                f"evaluation.networks, {name!r}",
                found=f"a name that stands for the metric {row.name!r} alone",
                expected=f"{row.name!r} for it",
                remedy="Give another network another name.",
            )
    return NetworkMetric(name, "nsdrecon.evaluation.networks:clip", mean=CLIP_MEAN, std=CLIP_STD)


def _check_source(row: Metric) -> None:
    pixels = isinstance(row, PixelMetric)
    found = implementation(row.source)
    try:
        signature(found).bind(None, None)
    except (TypeError, ValueError) as error:
        raise InputError(
            row.source,
            found=f"something that cannot be called with two values ({error})",
            expected="a function of a seen picture and a reconstruction"
            if pixels
            else "a class or function of weights and a device",
        ) from error
    if isclass(found) and not pixels and not any("__call__" in vars(k) for k in found.__mro__):
        raise InputError(
            row.source,
            found="no method __call__",
            expected="one that takes pictures and returns their features",
        )


def _plain(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
