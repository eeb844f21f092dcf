"""Whether all that a run takes from elsewhere can be had: terms, servers, files of a local copy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from textwrap import shorten

from nsdrecon.before_start import LOCAL_COPY, require_root
from nsdrecon.doctor.findings import Finding, Result, of_error
from nsdrecon.errors import InputError, listing
from nsdrecon.transfer.catalogue import FILES, REPOSITORIES
from nsdrecon.transfer.guards import require_terms
from nsdrecon.transfer.https import web_size
from nsdrecon.transfer.plan import Planned, model_plan
from nsdrecon.transfer.s3 import Bucket
from nsdrecon.transfer.sources import TransferError
from nsdrecon.transfer.weights import require_hub

WORKERS = 16
# Seconds for a server to answer; a download has more patience.
PATIENCE = 15.0


def terms(accepted: bool) -> Iterator[Finding]:
    """Whether the terms of use of NSD are accepted."""
    require_terms(accepted)
    yield Finding("NSD's terms", Result.OK, "nsd.terms_accepted: true")


def objects(
    bucket: Bucket, keys: Iterable[str], check: str = "NSD's bucket"
) -> tuple[Finding, set[str]]:
    """Whether objects of a bucket can be read.

    Parameters
    ----------
    bucket
        Where they are.
    keys
        Of the objects.
    check
        Name of the row.

    Returns
    -------
    Finding
        With the keys that cannot be read.
    set of str
        The keys that can be.
    """
    place = f"s3://{bucket.name}"
    keys = sorted(set(keys))
    if not keys:
        return Finding(check, Result.SKIPPED, "nothing of it is left to be fetched"), set()
    bucket.patience = PATIENCE
    # One first: a server out of reach is waited for once, not for every key.
    errors = _errors(lambda key: bucket.sizes([key]), keys[:1])
    if any(isinstance(error, TransferError) for error in errors.values()):
        return _row(check, *errors.values()), set()
    errors |= _errors(lambda key: bucket.sizes([key]), keys[1:])
    if not errors:
        found = f"{place}: {len(keys)} objects are still to be fetched, and can be read"
        return Finding(check, Result.OK, found), set(keys)
    first = _row(check, next(iter(errors.values())))
    if len(errors) > 1:
        others = f"{len(errors)} of {len(keys)} objects cannot be read: {listing(errors, 3)}"
        first = Finding(check, Result.FAIL, f"{others}. {first.found}", first.remedy)
    return first, set(keys) - set(errors)


def models(
    paths: Collection[str], mirrors: Mapping[str, Sequence[str]]
) -> tuple[list[Finding], list[Planned]]:
    """Whether the publishers of models let them be read.

    Parameters
    ----------
    paths
        Files, or folders of repositories, below ``resources/models/``, that are not here yet.
    mirrors
        Other addresses of files, by the names of their folders.

    Returns
    -------
    list of Finding
        A row a model.
    list of Planned
        The models that can be read, with their sizes.
    """
    planned: dict[str, list[Planned]] = {}

    def reach(path: str) -> None:
        name = Path(path).parts[2]
        if name in FILES:
            web_size([FILES[name].url, *mirrors.get(name, [])], path, PATIENCE)
        elif name in REPOSITORIES:
            source = REPOSITORIES[name]
            require_hub(source.repository, source.revision, source.patterns)
        planned[path] = list(model_plan([path], mirrors))

    errors = _errors(reach, paths)
    findings = []
    for path in paths:
        check = f"source of {Path(path).parts[2]}"
        if path in errors:
            findings.append(_row(check, errors[path]))
        else:
            size = sum(item.travels for item in planned[path]) / 1e9
            findings.append(Finding(check, Result.OK, f"can be read, {size:.3g} GB"))
    if not findings:
        skipped = Finding("sources of models", Result.SKIPPED, "no model is left to be fetched")
        findings.append(skipped)
    return findings, [item for path in paths for item in planned.get(path, [])]


def local_files(root: str, files: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    """Whether a copy of the data set has every file that a run reads.

    Parameters
    ----------
    root
        Folder of the copy.
    files
        Paths by group: a subject, or all subjects.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    require_root(root)
    for group, paths in files.items():
        check = f"local copy, {group}"
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            yield Finding(
                check,
                Result.FAIL,
                f"{len(missing)} of {len(paths)} files are not there: {listing(missing)}",
                LOCAL_COPY,
            )
        else:
            yield Finding(check, Result.OK, f"all {len(paths)} files are there")


def _row(check: str, error: Exception) -> Finding:
    """The row of a source that cannot be read; what a library says of its network is shortened."""
    row = of_error(check, error)
    remedy = row.remedy or (
        "Start snakemake on a node with a way to this server (HTTPS_PROXY names a proxy), or bring "
        "the files by other means and name their place in the configuration."
    )
    return replace(row, found=shorten(row.found, 300, placeholder=" ..."), remedy=remedy)


def _errors(reach: Callable[[str], object], names: Collection[str]) -> dict[str, Exception]:
    """What went wrong, by name, of calls that are made side by side."""

    def error(name: str) -> Exception | None:
        try:
            reach(name)
        except (InputError, TransferError) as fault:
            return fault
        return None

    with ThreadPoolExecutor(WORKERS) as pool:
        found = zip(names, pool.map(error, names), strict=True)
        return {name: fault for name, fault in found if fault}
