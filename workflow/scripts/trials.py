"""Write the trial table of a subject."""

from nsdrecon.data.nsd import read_design, require_repeats, trial_table
from nsdrecon.job import job
from nsdrecon.store import write_table

with job(snakemake) as log:
    trials = trial_table(
        read_design(snakemake.input.design), snakemake.wildcards.subject, snakemake.params.sessions
    )
    if snakemake.params.repeats:
        require_repeats(trials, snakemake.params.repeats)
    write_table(snakemake.output[0], trials)
    images = trials.groupby("split")["nsd_id"].nunique()
    for split, rows in trials.groupby("split"):
        log.info("%s: %d trials of %d images", split, len(rows), images[split])
