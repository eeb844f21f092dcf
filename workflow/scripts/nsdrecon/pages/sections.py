"""The sections of the report, each from a run's tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nsdrecon.data.nsd import read_trials
from nsdrecon.evaluation.published import PUBLISHED
from nsdrecon.evaluation.tables import (
    Layout,
    explained,
    readable,
    readable_contrasts,
    readable_holdout,
    readable_published,
    subject_title,
)
from nsdrecon.metrics import Metric, NetworkMetric
from nsdrecon.pages.report import Note, Picture, Section, Table

_SIMULATED = (
    "The data set is simulated and the models are small ones trained on drawn scenes: the figures "
    "below show that every stage works, and say nothing about real brains or the published models."
)
_CONTRASTS = (
    "{subject}: paired differences, with 95 % intervals and permutation p-values corrected by Holm "
    "over all contrasts and metrics. contrasts.tsv has every subject's."
)
_PUBLISHED_ROWS = (
    "Published means, without intervals. A number is comparable only under the same protocol and "
    "on the same images."
)
_CATEGORIES = (
    "two-way identification against images of the same cluster of captions (hard negatives), with "
    "95 % interval. Chance is 50."
)
_HOLDOUT = (
    "scores of test images of clusters of captions that training left out, and of the others, "
    "beside those of the decoder that was trained on all."
)
_METHODS = """Single-trial betas ({betas}) of the voxels in {mask} were averaged over the repeats of
each image. Voxels were standardised by the training images, and ridge regression predicted the
VDVAE's latents and the features that guide each diffusion model. Its penalties are under Settings;
predictions were rescaled by the mean and spread of: {rescale}. The VDVAE decoded the predicted
latents to the stage-1 image; diffusion started from that image, noised to {strength:.0%} of
{steps} steps, with guidance {guidance:g}.

Scores follow the protocol {protocol}. Intervals are 95 % bootstrap intervals over images. The
floor of a system gives every image the reconstruction of another one; oracles, which are given the
true latents of the test images, are ceilings and no reconstructions. No other reconstruction used
anything that was made from a test image: predictions come from test responses alone."""


def figure(path: str | Path) -> Picture:
    """A figure with the caption that was written beside it."""
    path = Path(path)
    caption = path.parent / "captions" / f"{path.stem}.txt"
    return Picture(path, caption.read_text(encoding="utf-8").strip())


def reconstructions(figures: Iterable[str | Path], *, simulated: bool) -> Section:
    """Figures of the reconstructions; a simulated data set is said to be one."""
    notes = [Note(_SIMULATED)] if simulated else []
    return Section("Reconstructions", [*notes, *map(figure, figures)])


def scores(
    figures: Iterable[str | Path],
    metrics: pd.DataFrame,
    contrasts: pd.DataFrame,
    *,
    columns: Sequence[Metric],
    layout: Layout,
    protocol: str,
) -> Section:
    """Figures of the metrics, tables of all subjects together and of each, and the contrasts.

    Parameters
    ----------
    figures
        Files of figures.
    metrics, contrasts
        The run's tables of those names.
    columns, layout
        Metrics and systems that are shown.
    protocol
        By which the metrics were computed.
    """
    names = metrics["subject"].unique()
    tables = [
        Table(
            readable(metrics, subject, columns, layout),
            f"{subject_title(metrics, subject)}, protocol {protocol}. {explained(metrics)}",
        )
        for subject in [names[-1], *names[:-1]]  # what is pooled comes first
    ]
    if not contrasts.empty:
        shown = readable_contrasts(contrasts[contrasts["subject"] == names[-1]], columns)
        title = subject_title(metrics, names[-1])
        tables.insert(1, Table(shown, _CONTRASTS.format(subject=title)))
    return Section("Scores", [*map(figure, figures), *tables])


def beyond_the_mean(
    figures: Iterable[str | Path],
    metrics: pd.DataFrame,
    holdout: pd.DataFrame | None,
    *,
    columns: Sequence[Metric],
    layout: Layout,
) -> Section:
    """Repeats, identification among images of one category, and categories left out.

    Parameters
    ----------
    figures
        Files of figures.
    metrics
        The run's table of that name.
    holdout
        That of the categories left out, if there were any.
    columns, layout
        Metrics and systems that are shown.
    """
    subject = metrics["subject"].iloc[-1]
    names = set(metrics["metric"])
    within = [row.within_category() for row in columns if isinstance(row, NetworkMetric)]
    found = [row for row in within if row.name in names]
    tables = []
    if found:
        shown = readable(metrics, subject, found, layout)
        tables.append(Table(shown, f"{subject_title(metrics, subject)}: {_CATEGORIES}"))
    if holdout is not None:
        shown = readable_holdout(holdout, subject, columns, layout.systems)
        tables.append(Table(shown, f"{subject}: {_HOLDOUT}"))
    return Section("Beyond the mean", [*map(figure, figures), *tables])


def published_values(protocol: str) -> Section:
    """What was published under a protocol."""
    published, footnotes = readable_published(PUBLISHED, protocol)
    return Section("Published values", [Table(published, _PUBLISHED_ROWS), *footnotes])


def data(trials: Mapping[str, str | Path], noise_ceiling: str | Path) -> Section:
    """Trials and images of every subject and split, and the figure of the noise ceiling.

    Parameters
    ----------
    trials
        Each subject's table of trials.
    noise_ceiling
        File of the figure.
    """
    rows = [
        {
            "subject": subject,
            "split": split,
            "sessions": seen["session"].nunique(),
            "images": seen["nsd_id"].nunique(),
            "trials": len(seen),
        }
        for subject, path in trials.items()
        for split, seen in read_trials(path).groupby("split", sort=False)
    ]
    return Section(
        "Data", [Table(pd.DataFrame(rows), "What each subject saw."), figure(noise_ceiling)]
    )


def resources(usage: pd.DataFrame, totals: pd.DataFrame) -> list[Table]:
    """What the rules asked for and took, and the run as a whole."""
    return [
        Table(
            usage,
            "Rules: what a job asks for (memory in MB, limit in minutes) and what was measured: "
            "median seconds, largest resident memory. Jobs of a moment leave no memory behind.",
            digits=1,
        ),
        Table(
            totals,
            "The run as a whole; hours are time limits times cores or GPUs unless measured. "
            "wall_h_N_gpu: wall time with N GPUs and cores enough.",
        ),
    ]


def methods(config: Mapping[str, Any]) -> Section:
    """How the images were reconstructed and scored, with the settings of a configuration."""
    text = _METHODS.format(
        betas=config["nsd"]["betas"],
        mask=config["nsd"]["mask"],
        rescale=config["regression"]["rescale"],
        protocol=config["evaluation"]["protocol"],
        **{key: config["stage2"][key] for key in ("strength", "steps", "guidance")},
    )
    return Section("Methods", [text])
