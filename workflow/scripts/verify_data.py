"""Read every file that was fetched again, and name what is damaged."""

from nsdrecon.logs import job_log
from nsdrecon.transfer.manifest import require_intact

with job_log(snakemake.log[0], snakemake.rule):
    require_intact(snakemake.input[0], snakemake.params.temporary)
