"""Tables over all subjects and systems: means, contrasts, retrieval, published values."""

from nsdrecon.evaluation.published import PUBLISHED, other_images, published_table
from nsdrecon.evaluation.retrieval import retrieval_table
from nsdrecon.evaluation.statistics import contrasts_table, metrics_table
from nsdrecon.evaluation.tables import Layout, described, voxels_used, write_latex, write_markdown
from nsdrecon.job import job
from nsdrecon.metrics import from_params, identification_names
from nsdrecon.provenance import simulated
from nsdrecon.store import read_table, write_table

with job(snakemake) as log:
    cfg, params, output = snakemake.params.cfg, snakemake.params, snakemake.output
    columns = [from_params(row) for row in params.metrics]
    tables = [read_table(path) for path in snakemake.input.scores]
    voxels = voxels_used(dict(zip(params.subjects, snakemake.input.responses, strict=True)))
    options = {"resamples": cfg["evaluation.bootstrap"], "seed": cfg["seed"]}
    metrics = metrics_table(tables, **options)
    layout = Layout(params.systems, params.floors, params.ceilings)
    write_table(output.long, described(metrics, columns, layout))
    write_table(output.contrasts, contrasts_table(tables, params.contrasts, **options))
    systems = [table for table in tables if table["system"].iloc[0] in params.systems]
    two_way = identification_names(columns)
    write_table(output.retrieval, retrieval_table(systems, two_way, **options))
    write_table(output.published, published_table())
    test = snakemake.wildcards.get("test", "")
    notes = [voxels, other_images(simulated=simulated(), of_nsd=params.of_nsd, test=test)]
    for name, left_out in params.left_out.items():
        notes.append(
            f"{params.systems[name]}: not scored by {', '.join(left_out)}, whose features chose it."
        )
    shown = {
        "columns": columns,
        "layout": layout,
        "published": PUBLISHED,
        "note": " ".join(filter(None, notes)),
    }
    write_markdown(metrics, output.markdown, **shown)
    # One subject alone is not pooled: its own rows come last.
    write_latex(metrics, output.latex, subject=metrics["subject"].iloc[-1], **shown)
    log.info("%d rows of %d tables", len(metrics), len(tables))
