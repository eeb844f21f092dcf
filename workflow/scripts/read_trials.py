"""Write the trial table of a subject from the files that the user brought."""

from nsdrecon.data.contract import contract_trials
from nsdrecon.data.nsd import require_repeats
from nsdrecon.extensions import implementation
from nsdrecon.job import job
from nsdrecon.store import write_table

with job(snakemake, brought=["trials", "tables", "pictures"]) as log:
    place, *arguments = snakemake.params.reader
    reader = implementation(place)(*arguments)
    pictures = implementation(snakemake.params.pictures)(snakemake.input.pictures)
    trials = contract_trials(reader, pictures)
    if snakemake.params.repeats:
        require_repeats(trials, snakemake.params.repeats)
    write_table(snakemake.output[0], trials)
    images = trials.groupby("split")["nsd_id"].nunique()
    for split, rows in trials.groupby("split"):
        log.info("%s: %d trials of %d images", split, len(rows), images[split])
