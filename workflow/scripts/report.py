"""Write the page that a person reads first."""

from pathlib import Path

from nsdrecon.evaluation.tables import Layout
from nsdrecon.graph.plan import LEGEND, format_amount
from nsdrecon.job import job
from nsdrecon.logs import versions
from nsdrecon.metrics import from_params
from nsdrecon.pages import sections
from nsdrecon.pages.report import Picture, Section, settings_table, write_report
from nsdrecon.provenance import current, simulated
from nsdrecon.store import read_table

PACKAGES = ("snakemake", "torch", "diffusers", "transformers", "numpy", "scikit-image", "nibabel")

with job(snakemake) as log:
    params, files, config = snakemake.params, snakemake.input, snakemake.params.config
    protocol, subjects = config["evaluation"]["protocol"], params.subjects
    metrics, totals = read_table(files.metrics), read_table(files.usage_totals)
    totals["amount"] = totals["amount"].map(format_amount)
    holdout = read_table(files.holdout[0]) if files.holdout else None
    shown = {
        "columns": [from_params(row) for row in params.metrics],
        "layout": Layout(params.systems, params.floors, params.ceilings),
    }
    workflow = [
        Picture(files.rulegraph, f"The rules of this run. {LEGEND}"),
        *sections.resources(read_table(files.usage), totals),
        Picture(files.job_graph, f"All jobs of {subjects[0]}."),
        Picture(files.filegraph, "The files of every rule, by one job's example."),
    ]
    parts = [
        sections.reconstructions(files.reconstructions, simulated=simulated()),
        Section("Samples", [sections.figure(path) for path in files.samples]),
        sections.scores(
            files.scores, metrics, read_table(files.contrasts), **shown, protocol=protocol
        ),
        sections.beyond_the_mean(files.repeats, metrics, holdout, **shown),
        sections.published_values(protocol),
        sections.data(dict(zip(subjects, files.trials, strict=True)), files.noise_ceiling),
        Section("Regression", [sections.figure(path) for path in files.regressions]),
        Section("Brain", [sections.figure(path) for path in files.brain]),
        Section("Workflow", workflow),
        sections.methods(config),
        Section("Settings", [settings_table(config, "Every setting of this run.")]),
    ]
    parts = [section for section in parts if section.parts]
    write_report(
        snakemake.output[0],
        title="Images reconstructed from fMRI",
        summary=f"{', '.join(subjects)}: {'; '.join(params.systems.values())}. "
        f"Data: {current()['source']}.",
        sections=parts,
        footer=", ".join(f"{name} {found}" for name, found in versions(*PACKAGES).items()),
    )
    log.info("%d sections, %d bytes", len(parts), Path(snakemake.output[0]).stat().st_size)
