"""Write pictures, trials and designs of a simulated NSD-Imagery and NSD-synthetic."""

from nsdrecon.logs import job_log
from nsdsim.config import SimulationConfig
from nsdsim.further_tests import write_further_tests

with job_log(snakemake.log[0], snakemake.rule):
    write_further_tests(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        snakemake.params.subjects,
        snakemake.input.stimuli,
    )
