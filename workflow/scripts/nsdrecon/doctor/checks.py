"""The checks of each kind, for what a run is configured to do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nsdrecon.doctor import amounts, cluster, nodes, sources
from nsdrecon.doctor.amounts import Needs
from nsdrecon.doctor.findings import Finding, Result, examined
from nsdrecon.errors import InputError
from nsdrecon.graph.plan import PlannedJob
from nsdrecon.transfer.plan import Planned
from nsdrecon.transfer.s3 import open_bucket


def bucket(
    title: str, server: Mapping[str, Any], needs: Needs, planned: list[Planned]
) -> list[Finding]:
    """Terms of use, if there are any, and the objects of a bucket that are still to be fetched.

    Parameters
    ----------
    title
        Whose bucket it is.
    server
        ``s3`` of the data set's section of the configuration, and ``terms_accepted``.
    needs
        What the run downloads.
    planned
        Gets what can be read, with its sizes.
    """
    check, accepted = f"{title}'s bucket", server["terms_accepted"]
    terms = [] if accepted is None else examined("NSD's terms", sources.terms, accepted)
    if any(row.result is Result.FAIL for row in terms):
        skipped = "not asked before its terms are accepted"
        return [*terms, Finding(check, Result.SKIPPED, skipped)]
    keys = {needs.key(path) for paths in needs.missing().values() for path in paths}
    objects, readable = sources.objects(open_bucket(**server), keys, check)
    sizes = examined(f"sizes in {check}", _sizes, server, needs, readable, planned)
    return [*terms, objects, *sizes]


def _sizes(
    server: Mapping[str, Any], needs: Needs, readable: set[str], planned: list[Planned]
) -> list[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        planned += amounts.nsd_downloads(open_bucket(**server), needs, readable, Path(folder))
    return []


def models(
    shown_by: Mapping[str, str], mirrors: Mapping[str, Sequence[str]], planned: list[Planned]
) -> Iterator[Finding]:
    """The publishers of models that are not here yet.

    Parameters
    ----------
    shown_by
        By path below ``resources/models/``: the file that is there when the model is.
    mirrors
        ``downloads.mirrors`` of the configuration.
    planned
        Gets what can be read, with its sizes.
    """
    missing = [path for path, file in shown_by.items() if not Path(file).is_file()]
    findings, found = sources.models(missing, mirrors)
    planned.extend(found)
    yield from findings


def room(
    needs: Needs, shown_by: Mapping[str, str], planned: Collection[Planned], results: str
) -> Iterator[Finding]:
    """What will travel and stay, and whether the disks take it.

    Parameters
    ----------
    needs, shown_by, planned
        As above.
    results
        Folder of the run's results.
    """
    files = {group: list(map(needs.kept, paths)) for group, paths in needs.files.items()}
    files["models"] = list(shown_by.values())
    files = {group: paths for group, paths in files.items() if paths}
    missing = {path for paths in files.values() for path in paths if not Path(path).is_file()}
    yield from amounts.amounts(planned, files, missing)
    n_unknown = len(missing - {item.file for item in planned})
    raw = {kept: path for path, (kept, _) in needs.voxels.items()}
    folders = [results, "resources"]
    if needs.files and not Path(needs.root).is_relative_to("resources"):
        folders.append(needs.root)
    yield from amounts.disks(folders, planned, raw, needs.images, n_unknown)


def slurm(
    facts: Mapping[str, object],
    options: Sequence[str],
    plan: Callable[[], Sequence[PlannedJob]],
    device: str,
) -> Iterator[Finding]:
    """The partitions, the jobs that go there, and the nodes.

    Parameters
    ----------
    facts
        Of the run: ``partitions`` (file), ``attempts``, ``changes`` (what the profile sets of
        threads and resources, by rule).
    options
        Of ``srun``: account, quality of service, reservation.
    plan
        Gives all jobs of the run.
    device
        ``device`` of the configuration.
    """
    named = cluster.profile_partitions(facts["partitions"])
    site = cluster.site_partitions()
    yield from cluster.partitions(named, site)
    yield from examined("jobs and partitions", _jobs, facts, plan, named, site)
    open_ones = [one for one in named if one.name in site and site[one.name].starts_jobs]
    yield from examined("nodes", nodes.nodes, open_ones, options, device)


def _jobs(
    facts: Mapping[str, object],
    plan: Callable[[], Sequence[PlannedJob]],
    named: Sequence[cluster.Partition],
    site: Mapping[str, cluster.SitePartition],
) -> Iterator[Finding]:
    try:
        planned = plan()
    except RuntimeError as error:
        raise InputError(
            "the jobs",
            found=f"no plan of them: {str(error)[-300:]}",
            expected="a run that can be planned",
            remedy="See what snakemake -n says.",
        ) from error
    yield from cluster.jobs(planned, facts["changes"], named, site, facts["attempts"])
