"""Write every picture as a PNG named by its image, for other evaluators."""

from nsdrecon.job import job
from nsdrecon.pages.export import export_pictures

with job(snakemake):
    params, files = snakemake.params, snakemake.input
    names = [f"{subject}/{system}" for subject in params.subjects for system in params.systems]
    export_pictures(
        snakemake.output[0],
        stimuli=files.stimuli,
        reconstructions=dict(zip(names, files.reconstructions, strict=True)),
    )
