"""Write pictures, trials and designs of a simulated NSD-Imagery and NSD-synthetic."""

from nsdrecon.job import job
from nsdsim.config import SimulationConfig
from nsdsim.further_tests import write_further_tests

with job(snakemake, raw=True):
    write_further_tests(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        snakemake.params.subjects,
        snakemake.input.stimuli,
    )
