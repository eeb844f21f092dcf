"""The sections of the report, each from a run's tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
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
from nsdrecon.logs import versions
from nsdrecon.metrics import Metric, NetworkMetric
from nsdrecon.pages.provenance import code_version, devices_used, measured
from nsdrecon.pages.report import (
    Facts,
    Folded,
    Links,
    Note,
    Part,
    Picture,
    Section,
    Table,
    settings_table,
)
from nsdrecon.pages.summary import best_systems, contrasts_in_words
from nsdrecon.provenance import SIMULATED
from nsdrecon.store import read_table

_SIMULATED = (
    "The data set is simulated and the models are small ones trained on drawn scenes: this page "
    "shows that every stage works, and says nothing about real brains or the published models."
)
_FILES = {
    "gallery/index.html": "every test image with every system, floor and score",
    "tables/metrics.tsv": "means, intervals, floors, ceilings; to compute with",
    "tables/metrics.md": "the same to read",
    "tables/metrics.tex": "the same for a paper",
    "tables/contrasts.tsv": "paired differences of systems with intervals and p-values",
    "tables/retrieval.tsv": "n-way retrieval",
    "tables/published.tsv": "published values and their sources",
    "tables/repeats.tsv": "scores with fewer repeats of the test images",
    "tables/learning.tsv": "scores of decoders that were trained on fewer sessions",
    "tables/holdout.tsv": "scores of clusters of captions that training left out",
    "tables/samples.tsv": "agreement between samples",
    "figures": "every figure as PNG and PDF, with its caption",
    "data/manifest.tsv": "what came from outside, with checksums",
    "dag/usage.txt": "what each rule asked for and took",
    "benchmarks": "time and memory of each job",
}
_PACKAGES = ("snakemake", "torch", "diffusers", "transformers", "numpy", "scikit-image", "nibabel")
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
floor of a system gives every image the reconstruction of another one; oracles, which are given
something true of the test images, are ceilings and no reconstructions. No other reconstruction used
anything that was made from a test image: predictions come from test responses alone."""


def figure(path: str | Path, *, legible: bool = True) -> Picture:
    """A figure with the caption that was written beside it."""
    path = Path(path)
    caption = path.parent / "captions" / f"{path.stem}.txt"
    return Picture(path, caption.read_text(encoding="utf-8").strip(), legible)


def which_run(
    config: Mapping[str, Any],
    source: str,
    subjects: Sequence[str],
    command: str,
    logs: Path,
    benchmarks: Path,
) -> list[Part]:
    """Which run it is, and that its data are simulated if they are.

    Parameters
    ----------
    config
        The settings of the run.
    source
        Where the data come from, as the files say.
    subjects
        Its subjects.
    command
        What was called.
    logs, benchmarks
        Folders that tell on what, when and for how long the run was computed.
    """
    facts = {
        "run": config["run"]["name"],
        "subjects": ", ".join(subjects),
        "data": source,
        "code": code_version(Path(__file__).parent),
        "command": command,
        "computed": str(measured(benchmarks) or "nothing was measured"),
        "on": ", ".join(devices_used(logs)) or "not said in the logs",
        "written": f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
    }
    return [Facts(facts), *([Note(_SIMULATED)] if source == SIMULATED else [])]


def summary(
    metrics: pd.DataFrame,
    contrasts: pd.DataFrame,
    figures: Mapping[str, str | Path],
    *,
    columns: Sequence[Metric],
    layout: Layout,
) -> Section:
    """How good, against what floor: a table, sentences and one figure."""
    subject = metrics["subject"].iloc[-1]
    title = subject_title(metrics, subject)
    best = Table(
        best_systems(metrics, subject, columns, layout),
        f"The best system of each metric, {title}. The floor gives every image the reconstruction "
        "of another one; the ceiling is the same models with the true latents of the test images.",
    )
    words = contrasts_in_words(contrasts, subject, columns, layout.systems)
    return Section("Summary", [best, *words, figure(figures["metrics"])])


def pictures(
    extremes: Iterable[str | Path], reconstructions: Iterable[str | Path], gallery: str | Path
) -> Section:
    """Best, median and worst images of the first subject; more of all subjects, folded; all."""
    first, *others = (figure(path, legible=False) for path in extremes)
    more = [*others, *(figure(path, legible=False) for path in reconstructions)]
    links = Links({gallery: "every test image with every system, floor and score"})
    return Section("Pictures", [first, links, Folded("More pictures", more)])


def files(results: Path, logs: Path) -> Section:
    """Links to the tables, figures, records and logs of a run that are there."""
    there = {results / name: text for name, text in _FILES.items() if (results / name).exists()}
    return Section("Files", [Links(there | {logs: "a log for each job"})])


def scores(
    figures: Mapping[str, str | Path],
    metrics: pd.DataFrame,
    contrasts: pd.DataFrame,
    *,
    columns: Sequence[Metric],
    layout: Layout,
    protocol: str,
) -> Section:
    """Tables of all subjects together and of each, contrasts, retrieval, pairs image by image.

    Parameters
    ----------
    figures
        Name to file of the figures of the metrics.
    metrics, contrasts
        The run's tables of those names.
    columns, layout
        Metrics and systems that are shown.
    protocol
        By which the metrics were computed.
    """

    def table(subject: str) -> Table:
        title = f"{subject_title(metrics, subject)}, protocol {protocol}"
        return Table(readable(metrics, subject, columns, layout), f"{title}. {explained(metrics)}")

    *single, last = metrics["subject"].unique()  # what is pooled comes last
    parts: list[Part] = [table(last)]
    if not contrasts.empty:
        shown = readable_contrasts(contrasts[contrasts["subject"] == last], columns)
        parts.append(figure(figures["contrasts"]))
        parts.append(Table(shown, _CONTRASTS.format(subject=subject_title(metrics, last))))
    parts.append(figure(figures["retrieval"]))
    pairs = [figure(path) for name, path in figures.items() if name.startswith("scatter_")]
    parts += [Folded("Pairs of systems, image by image", pairs)] if pairs else []
    parts += [Folded(subject_title(metrics, subject), [table(subject)]) for subject in single]
    return Section("Scores", parts)


def further_tests(
    tables: Mapping[str, str | Path], *, columns: Sequence[Metric], layout: Layout
) -> Section:
    """Scores of further test sets, a table each.

    Parameters
    ----------
    tables
        Test set to its table of metrics.
    columns, layout
        Metrics and systems that are shown.
    """
    parts = []
    for name, path in tables.items():
        metrics = read_table(path)
        subject = metrics["subject"].iloc[-1]
        title = f"Test set {name}: {subject_title(metrics, subject)}. {explained(metrics)}"
        parts.append(Table(readable(metrics, subject, columns, layout), title))
    return Section("Further test sets", parts)


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
    table = Table(published, _PUBLISHED_ROWS)
    return Section("Published values", [table, Folded("Sources", footnotes)])


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


def workflow(rules: str | Path, jobs: str | Path, file_graph: str | Path, legend: str) -> Section:
    """The graphs of the rules, of one subject's jobs and of the files, each at its natural size."""
    graphs = [
        Picture(jobs, "All jobs of the first subject.", legible=True),
        Picture(file_graph, "The files of every rule, by one job's example.", legible=True),
    ]
    shown = Picture(rules, f"The rules of this run. {legend}", legible=True)
    return Section("Workflow", [shown, Folded("Jobs and files", graphs)])


def methods(config: Mapping[str, Any], *, betas: str, mask: str) -> Section:
    """How the images were reconstructed and scored, with some settings and versions of packages.

    Parameters
    ----------
    config
        The configuration.
    betas, mask
        What the data set calls them.
    """
    text = _METHODS.format(
        betas=betas,
        mask=mask,
        rescale=config["regression"]["rescale"],
        protocol=config["evaluation"]["protocol"],
        **{key: config["stage2"][key] for key in ("strength", "steps", "guidance")},
    )
    return Section("Methods", [text, Facts(versions(*_PACKAGES))])


def settings(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> Section:
    """What was set, beside the defaults: what differs, and folded all of it."""
    changed, every = settings_table(config, defaults)
    return Section(
        "Settings",
        [
            Table(changed, "Settings that differ from their defaults.", text=True),
            Folded("Every setting", [Table(every, "Every setting of this run.", text=True)]),
        ],
    )
