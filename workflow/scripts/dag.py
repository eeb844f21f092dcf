"""Draw the rules, one subject's jobs and the files of every rule, as this run is configured."""

from nsdrecon.graph.plan import draw_files, draw_jobs, draw_rules, mermaid, planned_jobs
from nsdrecon.job import job
from nsdrecon.whole_files import whole_file

with job(snakemake) as log:
    jobs = planned_jobs(snakemake.params.snakefile, snakemake.params.config)
    subject = snakemake.params.subject
    drawings = {
        snakemake.output.rules: draw_rules(jobs),
        snakemake.output.mermaid: mermaid(jobs).encode(),
        snakemake.output.jobs: draw_jobs(jobs, subject),
        snakemake.output.files: draw_files(jobs, subject),
    }
    for path, content in drawings.items():
        with whole_file(path) as partial:
            partial.write_bytes(content)
    log.info("%d jobs of %d rules", len(jobs), len({job.rule for job in jobs}))
