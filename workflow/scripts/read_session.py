"""Cut the voxels of the mask out of one session that the user brought."""

from nsdrecon.data.nsd import read_trials
from nsdrecon.data.session_files import store_session
from nsdrecon.extensions import implementation
from nsdrecon.job import job

with job(snakemake, brought=["betas", "mask"]):
    place, *arguments = snakemake.params.reader
    reader, session = implementation(place)(*arguments), int(snakemake.wildcards.session)
    voxels = reader.voxels()
    store_session(
        reader.betas(session, reader.trials(), voxels),
        voxels,
        read_trials(snakemake.input.trials),
        snakemake.wildcards.subject,
        session,
        snakemake.output[0],
        units=reader.units,
    )
