"""Write the page that a person reads first."""

from pathlib import Path

from nsdrecon.evaluation.tables import Layout
from nsdrecon.graph.plan import LEGEND, format_amount
from nsdrecon.job import job
from nsdrecon.metrics import from_params
from nsdrecon.pages import sections
from nsdrecon.pages.report import Section, write_report
from nsdrecon.pages.summary import warnings
from nsdrecon.provenance import current
from nsdrecon.store import read_table

with job(snakemake) as log:
    logs = Path(snakemake.log[0]).parent
    params, files, config = snakemake.params, snakemake.input, snakemake.params.config
    protocol, subjects = config["evaluation"]["protocol"], params.subjects
    metrics, contrasts = read_table(files.metrics), read_table(files.contrasts)
    totals = read_table(files.usage_totals)
    totals["amount"] = totals["amount"].map(format_amount)
    holdout = read_table(files.holdout[0]) if files.holdout else None
    shown = {
        "columns": [from_params(row) for row in params.metrics],
        "layout": Layout(params.systems, params.floors, params.ceilings),
    }
    scores = {Path(path).stem: path for path in files.scores}
    weights = dict(zip(params.weights, files.weights, strict=True))
    responses = dict(zip(subjects, files.responses, strict=True))
    beware = warnings(metrics, **shown, weights=weights, responses=responses)
    parts = [
        sections.summary(metrics, contrasts, scores, **shown),
        sections.pictures(files.extremes, files.reconstructions, files.gallery),
        Section("Warnings", beware or ["None."]),
        sections.files(Path(snakemake.output[0]).parent, logs),
        sections.scores(scores, metrics, contrasts, **shown, protocol=protocol),
        sections.further_tests(dict(zip(params.tests, files.tests, strict=True)), **shown),
        Section("Samples", [sections.figure(path, legible=False) for path in files.samples]),
        sections.beyond_the_mean(files.curves, metrics, holdout, **shown),
        sections.published_values(protocol),
        sections.data(dict(zip(subjects, files.trials, strict=True)), files.noise_ceiling),
        Section("Regression", [sections.figure(path) for path in files.regressions]),
        Section("Brain", [sections.figure(path) for path in files.brain]),
        Section("Cost", sections.resources(read_table(files.usage), totals)),
        sections.workflow(files.rulegraph, files.job_graph, files.filegraph, LEGEND),
        sections.methods(config, **params.described),
        sections.settings(config, params.defaults),
    ]
    write_report(
        snakemake.output[0],
        title=f"Images reconstructed from fMRI: {config['run']['name']}",
        head=sections.which_run(
            config, current()["source"], subjects, params.command, logs, params.benchmarks
        ),
        sections=[section for section in parts if section.parts],
        footer=f"Written by the rule {snakemake.rule}.",
    )
    log.info("%d sections, %d bytes", len(parts), Path(snakemake.output[0]).stat().st_size)
