"""How a run uses SLURM, read from Snakemake's workflow; light, since it is parsed often."""

from __future__ import annotations


def slurm_facts(workflow: object) -> dict[str, object] | None:
    """What a profile says of SLURM.

    Parameters
    ----------
    workflow
        Snakemake's ``workflow``, once its executor is known: in functions of rules.

    Returns
    -------
    dict or None
        ``partitions`` (file of their limits, None if none is named), ``attempts`` of each job,
        ``changes`` (``threads``, ``gpu``, ``mem_mb``, ``runtime`` that are set by rule),
        ``options`` of ``srun``. None for a run without SLURM.
    """
    plugin, chosen = workflow.executor_plugin, workflow.executor_settings
    if plugin is None or plugin.name != "slurm":
        return None
    named = {"--qos": chosen.qos, "--reservation": chosen.reservation}
    return {
        "partitions": chosen.partition_config and str(chosen.partition_config),
        "attempts": workflow.execution_settings.retries + 1,
        "changes": _changes(workflow.resource_settings),
        "options": [f"{option}={value}" for option, value in named.items() if value],
    }


def _changes(resources: object) -> dict[str, dict[str, int]]:
    """Numbers that are set by rule; what depends on the job or the attempt is left out."""
    found = {rule: {"threads": threads} for rule, threads in resources.overwrite_threads.items()}
    for rule, given in resources.overwrite_resources.items():
        own = {name: given[name] for name in ("gpu", "mem_mb", "runtime") if name in given}
        found[rule] = found.get(rule, {}) | own
    return {
        rule: {name: value.raw for name, value in given.items() if isinstance(value.raw, int)}
        for rule, given in found.items()
    }
