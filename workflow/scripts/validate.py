"""Read all that the user brought, say what was found, and of every fault what to do."""

import sys

from nsdrecon.data.pictures import pictures
from nsdrecon.doctor.dataset import of_all, of_subject
from nsdrecon.doctor.findings import Result, examined, table
from nsdrecon.extensions import implementation
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule) as log:
    params, captions = snakemake.params, next(iter(snakemake.params.captions), None)
    rows = examined("pictures", of_all, params.pictures, captions)
    if not any(row.result is Result.FAIL for row in rows):
        brought = pictures(params.pictures)
        for subject, (place, *arguments) in params.readers.items():
            reader = implementation(place)(*arguments)
            shared = brought, captions, params.maps[subject]
            rows += examined(subject, of_subject, subject, reader, *shared)
    log.info("what was found:\n%s", table(rows))

if any(row.result is Result.FAIL for row in rows):
    sys.exit(1)
