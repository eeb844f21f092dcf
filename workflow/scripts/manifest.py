"""List every file that came from outside: what was fetched, and what the user brought."""

from nsdrecon.logs import job_log
from nsdrecon.transfer.manifest import files_of, read_manifest, write_manifest
from nsdrecon.transfer.weights import check_own

with job_log(snakemake.log[0], snakemake.rule) as log:
    fetched = [record for path in snakemake.input.records for record in read_manifest(path)]
    own = [record for path in snakemake.input.models for record in read_manifest(path)]
    own += [check_own(file) for path in snakemake.input.own for file in files_of(path)]
    write_manifest(snakemake.output[0], [*fetched, *own])
    size = sum(record.bytes for record in fetched) / 1e9
    log.info("%d files fetched, %.3f GB; %d files brought", len(fetched), size, len(own))
