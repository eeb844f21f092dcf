"""A subject's maps of voxels on the user's surfaces."""

from nsdrecon.brain.surfaces import project, read_coordinates
from nsdrecon.job import job

with job(snakemake, brought=["coordinates"]):
    files, outputs = list(snakemake.input.maps), iter(snakemake.output)
    for path in snakemake.input.coordinates:
        coordinates = read_coordinates(path)
        for volume in files:
            project(volume, coordinates, next(outputs))
