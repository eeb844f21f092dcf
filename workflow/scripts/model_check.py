"""Check a model's files and load it once, before hours are spent on what it is used for."""

import pandas as pd

from nsdrecon.job import job
from nsdrecon.model_check import loaded_parts
from nsdrecon.store import write_table
from nsdrecon.transfer.manifest import write_manifest
from nsdrecon.transfer.weights import check_own_files

# The files of a model say nothing of where they come from.
with job(snakemake, raw=True) as log:
    records = check_own_files(snakemake.params.own, snakemake.output.record)
    kind, place = snakemake.params.loaded
    table = pd.DataFrame(loaded_parts(kind, snakemake.params.model, place))
    write_manifest(snakemake.output.record, records)
    write_table(snakemake.output.parts, table)
    log.info("\n%s", table.to_string(index=False))
