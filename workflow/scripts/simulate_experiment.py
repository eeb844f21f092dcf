"""Write design, stimuli and captions of a simulated NSD."""

from nsdrecon.job import job
from nsdsim.config import SimulationConfig
from nsdsim.files import write_experiment

with job(snakemake, raw=True):
    write_experiment(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        captions=snakemake.output.captions,
        features=snakemake.output.features,
    )
