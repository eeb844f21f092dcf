"""Write ROI volumes and noise ceiling of a simulated subject."""

from nsdrecon.job import job
from nsdsim.config import SimulationConfig
from nsdsim.files import write_subject

with job(snakemake, raw=True):
    write_subject(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        snakemake.wildcards.subject,
        features=snakemake.input.features,
        version=snakemake.params.cfg["nsd.betas"],
        space=snakemake.params.cfg["nsd.space"],
    )
