"""Read all of the data set, say what was found, and of every fault what to do."""

import sys

from nsdrecon.doctor.dataset import of_all, of_subject
from nsdrecon.doctor.findings import Result, examined, table
from nsdrecon.extensions import implementation
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule) as log:
    params, captions = snakemake.params, next(iter(snakemake.params.captions), None)
    found = []
    read = map(implementation, params.read)
    rows = examined("pictures", of_all, *read, params.pictures, captions, found)
    for shared in found:
        for subject, (place, *arguments) in params.readers.items():
            reader = implementation(place)(*arguments)
            own_map = params.maps[subject]
            rows += examined(subject, of_subject, subject, reader, *shared, own_map)
    log.info("what was found:\n%s", table(rows))

if any(row.result is Result.FAIL for row in rows):
    sys.exit(1)
