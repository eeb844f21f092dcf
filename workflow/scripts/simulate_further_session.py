"""Write the betas of a simulated subject in NSD-Imagery or NSD-synthetic."""

from nsdrecon.job import job
from nsdsim.config import SimulationConfig
from nsdsim.further_tests import write_further_session

with job(snakemake, raw=True):
    write_further_session(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        snakemake.wildcards.subject,
        snakemake.wildcards.experiment,
        features=snakemake.input.features,
        key=snakemake.params.key,
    )
