"""Write design, stimuli and captions of a simulated NSD."""

from nsdrecon.logs import job_log
from nsdsim.config import SimulationConfig
from nsdsim.files import write_experiment

with job_log(snakemake.log[0], snakemake.rule):
    write_experiment(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        captions=snakemake.output.captions,
        features=snakemake.output.features,
    )
