"""Print the jobs that Snakemake plans for a configuration, as if nothing had been computed (JSON).

Usage: python planned_jobs.py SNAKEFILE [CONFIGFILE ...]

Always in a process of its own: Snakemake keeps state between calls.
"""

import json
import sys
from pathlib import Path

RESOURCES = ("mem_mb", "runtime", "gpu")


def main(snakefile: str, *configfiles: str) -> None:
    """Print the jobs of a workflow with these configuration files, as JSON."""
    from snakemake.api import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
        SnakemakeApi,
    )

    with SnakemakeApi(OutputSettings(verbose=False)) as api:
        workflow = api.workflow(
            # Snakemake caps threads at the available cores.
            resource_settings=ResourceSettings(cores=10_000),
            config_settings=ConfigSettings(configfiles=[Path(path) for path in configfiles]),
            snakefile=Path(snakefile),
        )
        # There is no public way to ask for the jobs.
        planned = workflow.dag(DAGSettings(forceall=True)).workflow_api._workflow
        planned._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        planned._build_dag()
        # Given in the order of the rules, so that everything made from them is the same each time.
        order = {rule.name: number for number, rule in enumerate(planned.rules)}
        # Asked for by name: without an executor for a cluster every job counts as local.
        jobs = [
            facts(job, job.rule.name in planned._localrules)
            | {
                "params": {name: repr(value) for name, value in job.params.items()},
                # Those of which a change runs the job again.
                "counted": list(map(repr, job.non_derived_params)),
            }
            for job in planned.dag.jobs
        ]
    jobs.sort(key=lambda job: (order[job["rule"]], job["label"], job["outputs"]))
    print(json.dumps(jobs))


def facts(job, local: bool) -> dict:
    """What Snakemake plans for a job, by the names of :class:`nsdrecon.graph.plan.PlannedJob`."""
    asked = {name: job.resources.get(name) for name in RESOURCES}
    wildcards = {name: value for name, value in job.wildcards_dict.items() if value}
    return {
        "rule": job.rule.name,
        "stage": Path(str(job.rule.snakefile)).stem.partition("_")[0],
        "label": ", ".join(f"{name}={value}" for name, value in wildcards.items()),
        "inputs": list(map(str, job.input)),
        "outputs": list(map(str, job.output)),
        "threads": job.threads,
        **{name: value if isinstance(value, int) else 0 for name, value in asked.items()},
        "local": local,
        "benchmark": str(job.benchmark) if job.benchmark else None,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
