# What is looked at before the first job, once: not in every job that reads these rules again.

from nsdrecon import refusals
from nsdrecon.before_start import require_files, require_slurm, require_terms_for
from nsdrecon.whole_files import keep_whole, remove_leftovers
from snakemake.logging import logger

if workflow.is_main_process:
    refusals.begin_run()

# These make a table of everything that is missing. (Snakemake does not know its targets yet.)
if workflow.is_main_process and not {"doctor", "validate"} & set(sys.argv):
    require_files(DATA, MODELS)
    if DATA.simulated:
        from nsdsim.config import SimulationConfig

        SimulationConfig.from_mapping(config["simulation"])
    if DATA.downloads and DATA.terms_accepted is False:
        logger.warning("nsd.terms_accepted is false: a run stops before it downloads any of NSD.")


onstart:
    with plainly(CONFIGURATION_FILES):
        jobs = list(workflow.dag.needrun_jobs())
        made = {str(path) for job in jobs for path in job.output}
        require_terms_for(made, DATA)
        cluster = slurm_facts(workflow)
        require_slurm(made and cluster)
        # Jobs on a cluster outlive a killed Snakemake, but no partition lets one go on for a day.
        for leftover in remove_leftovers(made, untouched_s=86_400 if cluster else 0):
            logger.info(f"Removed {leftover}, which a killed job left.")
        for job in jobs:
            # Those of which Snakemake knows that they were started and not that they ended; of a
            # download, which updates all its files, they stay in their places.
            started = set(workflow.async_run(workflow.persistence.incomplete(job)))
            ended = started and started == set(job.output) and Path(job.log[0]).is_file()
            if ended and not all(path.flags.get("update") for path in started):
                keep_whole(job.output, job.log[0])
        # Its imports are not needed to read the rules, and this is not called in a job.
        from nsdrecon.graph.time_left import time_left

        logger.addHandler(time_left(workflow, logger.info))
