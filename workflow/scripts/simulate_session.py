"""Write the betas of one session of a simulated subject."""

from nsdrecon.job import job
from nsdsim.config import SimulationConfig
from nsdsim.files import write_session

with job(snakemake, raw=True):
    write_session(
        snakemake.params.root,
        SimulationConfig.from_mapping(snakemake.params.cfg["simulation"]),
        snakemake.wildcards.subject,
        int(snakemake.wildcards.session),
        features=snakemake.input.features,
        formats=[snakemake.params.cfg["nsd.format"]],
        version=snakemake.params.cfg["nsd.betas"],
        space=snakemake.params.cfg["nsd.space"],
    )
