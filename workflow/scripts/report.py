"""Write the page that a person reads first."""

from pathlib import Path

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
from nsdrecon.graph.plan import LEGEND, format_amount
from nsdrecon.logs import job_log, versions
from nsdrecon.metrics import Metric, NetworkMetric, from_params
from nsdrecon.pages.report import Note, Picture, Section, Table, settings_table, write_report
from nsdrecon.store import read_table

PACKAGES = ("snakemake", "torch", "diffusers", "transformers", "numpy", "scikit-image", "nibabel")
SIMULATED = (
    "The data set is simulated and the models are small ones trained on drawn scenes: the figures "
    "below show that every stage works, and say nothing about real brains or the published models."
)
CONTRASTS = (
    "{subject}: paired differences, with 95 % intervals and permutation p-values corrected by Holm "
    "over all contrasts and metrics. contrasts.tsv has every subject's."
)
PUBLISHED_ROWS = (
    "Published means, without intervals. A number is comparable only under the same protocol and "
    "on the same images."
)
CATEGORIES = (
    "two-way identification against images of the same cluster of captions (hard negatives), with "
    "95 % interval. Chance is 50."
)
HOLDOUT = (
    "scores of test images of clusters of captions that training left out, and of the others, "
    "beside those of the decoder that was trained on all."
)
METHODS = """Single-trial betas ({betas}) of the voxels in {mask} were averaged over the repeats of
each image. Voxels were standardised by the training images, and ridge regression predicted the
VDVAE's latents and the features that guide each diffusion model. Its penalties are under Settings;
predictions were rescaled by the mean and spread of: {rescale}. The VDVAE decoded the predicted
latents to the stage-1 image; diffusion started from that image, noised to {strength:.0%} of
{steps} steps, with guidance {guidance:g}.

Scores follow the protocol {protocol}. Intervals are 95 % bootstrap intervals over images. The
floor of a system gives every image the reconstruction of another one; oracles, which are given the
true latents of the test images, are ceilings and no reconstructions. No other reconstruction used
anything that was made from a test image: predictions come from test responses alone."""


def picture(path: str) -> Picture:
    """A figure with the caption that was written beside it."""
    path = Path(path)
    caption = path.parent / "captions" / f"{path.stem}.txt"
    return Picture(path, caption.read_text(encoding="utf-8").strip())


def scored() -> list[Metric]:
    """The columns of this run's metrics."""
    return [from_params(row) for row in snakemake.params.metrics]


def score_tables(config: dict) -> list[Table]:
    """The table of metrics of every subject and of all together, then the contrasts."""
    metrics, contrasts = read_table(snakemake.input.metrics), read_table(snakemake.input.contrasts)
    params = snakemake.params
    columns, used = scored(), config["evaluation"]["protocol"]
    layout = Layout(params.systems, params.floors, params.ceilings)
    names = metrics["subject"].unique()
    tables = [
        Table(
            readable(metrics, subject, columns, layout),
            f"{subject_title(metrics, subject)}, protocol {used}. {explained(metrics)}",
        )
        for subject in [names[-1], *names[:-1]]  # what is pooled comes first
    ]
    if not contrasts.empty:
        shown = readable_contrasts(contrasts[contrasts["subject"] == names[-1]], columns)
        title = subject_title(metrics, names[-1])
        tables.insert(1, Table(shown, CONTRASTS.format(subject=title)))
    return tables


def hard_negatives() -> list[Table]:
    """Identification among images of the same category, and with categories left out."""
    metrics = read_table(snakemake.input.metrics)
    subject = metrics["subject"].iloc[-1]
    names = set(metrics["metric"])
    layout = Layout(snakemake.params.systems, snakemake.params.floors, snakemake.params.ceilings)
    within = [row.within_category() for row in scored() if isinstance(row, NetworkMetric)]
    columns = [row for row in within if row.name in names]
    tables = []
    if columns:
        shown = readable(metrics, subject, columns, layout)
        tables.append(Table(shown, f"{subject_title(metrics, subject)}: {CATEGORIES}"))
    if snakemake.input.holdout:
        holdout = read_table(snakemake.input.holdout[0])
        shown = readable_holdout(holdout, subject, scored(), snakemake.params.systems)
        tables.append(Table(shown, f"{subject}: {HOLDOUT}"))
    return tables


def trial_counts() -> Table:
    """Trials and images of every subject and split."""
    rows = []
    for subject, path in zip(snakemake.params.subjects, snakemake.input.trials, strict=True):
        for split, trials in read_trials(path).groupby("split", sort=False):
            rows.append(
                {
                    "subject": subject,
                    "split": split,
                    "sessions": trials["session"].nunique(),
                    "images": trials["nsd_id"].nunique(),
                    "trials": len(trials),
                }
            )
    return Table(pd.DataFrame(rows), "What each subject saw.")


def workflow() -> list[Picture | Table]:
    """Graphs of the run, and what its rules asked for and took."""
    totals = read_table(snakemake.input.usage_totals)
    totals["amount"] = totals["amount"].map(format_amount)
    subject = snakemake.params.subjects[0]
    return [
        Picture(snakemake.input.rulegraph, f"The rules of this run. {LEGEND}"),
        Table(
            read_table(snakemake.input.usage),
            "Rules: what a job asks for (memory in MB, limit in minutes) and what was measured: "
            "median seconds, largest resident memory. Jobs of a moment leave no memory behind.",
            digits=1,
        ),
        Table(
            totals,
            "The run as a whole; hours are time limits times cores or GPUs unless measured. "
            "wall_h_N_gpu: wall time with N GPUs and cores enough.",
        ),
        Picture(snakemake.input.job_graph, f"All jobs of {subject}."),
        Picture(snakemake.input.filegraph, "The files of every rule, by one job's example."),
    ]


with job_log(snakemake.log[0], snakemake.rule) as log:
    config = snakemake.params.config
    subjects = ", ".join(snakemake.params.subjects)
    methods = METHODS.format(
        betas=config["nsd"]["betas"],
        mask=config["nsd"]["mask"],
        rescale=config["regression"]["rescale"],
        protocol=config["evaluation"]["protocol"],
        **{key: config["stage2"][key] for key in ("strength", "steps", "guidance")},
    )
    notes = [Note(SIMULATED)] if config["nsd"]["source"] == "simulated" else []
    samples = []
    if snakemake.input.samples:
        samples = [Section("Samples", [picture(path) for path in snakemake.input.samples])]
    further = [*map(picture, snakemake.input.repeats), *hard_negatives()]
    further = [Section("Beyond the mean", further)] if further else []
    published, footnotes = readable_published(PUBLISHED, config["evaluation"]["protocol"])
    sections = [
        Section("Reconstructions", [*notes, *map(picture, snakemake.input.reconstructions)]),
        *samples,
        Section("Scores", [*map(picture, snakemake.input.scores), *score_tables(config)]),
        *further,
        Section("Published values", [Table(published, PUBLISHED_ROWS), *footnotes]),
        Section("Data", [trial_counts(), picture(snakemake.input.noise_ceiling)]),
        Section("Regression", [picture(path) for path in snakemake.input.regressions]),
        Section("Workflow", workflow()),
        Section("Methods", [methods]),
        Section("Settings", [settings_table(config, "Every setting of this run.")]),
    ]
    write_report(
        snakemake.output[0],
        title="Images reconstructed from fMRI",
        summary=f"{subjects}: {'; '.join(snakemake.params.systems.values())}.",
        sections=sections,
        footer=", ".join(f"{name} {found}" for name, found in versions(*PACKAGES).items()),
    )
    log.info("%d sections, %d bytes", len(sections), Path(snakemake.output[0]).stat().st_size)
