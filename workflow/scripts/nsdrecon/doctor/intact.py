"""Whether what is here already is whole: downloads against their records, models of one's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from nsdrecon.doctor.findings import Finding, Result, of_error
from nsdrecon.errors import InputError, listing
from nsdrecon.extensions import implementation
from nsdrecon.transfer.manifest import Damage, Record, read_manifest, verify
from nsdrecon.transfer.weights import check_own

T = TypeVar("T")

READ_AT_MOST = 4_000_000_000
"""Bytes of the downloads, and of each model of one's own, that are read for their checksums: all
checks together are to take a minute or so."""


def downloads(records: Iterable[str], temporary: Collection[str]) -> Iterator[Finding]:
    """Whether downloaded files are what their records say.

    Sizes of all of them are compared; checksums of the smaller ones, up to `READ_AT_MOST`.

    Parameters
    ----------
    records
        Tables of records of everything a run downloads; those that are not there yet are passed.
    temporary
        Files that may be gone, because the workflow removes them once they are used.
    """
    check = "downloads, here"
    tables = [path for path in records if Path(path).is_file()]
    if not tables:
        yield Finding(check, Result.SKIPPED, "nothing has been fetched yet")
        return
    every = [record for path in tables for record in read_manifest(path)]
    read, left = _affordable(every, lambda record: record.bytes)
    damages = verify(read, temporary) + list(_other_sizes(left, temporary))
    if damages:
        files = [f"{damage.file} ({damage.found}; {damage.expected})" for damage in damages]
        yield Finding(
            check,
            Result.FAIL,
            f"{len(damages)} of {len(every)} files are damaged: {listing(files)}",
            "Remove them and give their names to snakemake as targets (of a model's folder, its "
            "downloaded.tsv): only they are fetched again.",
        )
        return
    found = f"{len(every)} files have their sizes, {len(read)} of them were read: checksums fit"
    remedy = "The others are read by: snakemake --cores 1 verify_data" if left else ""
    yield Finding(check, Result.OK, found, remedy)


def _other_sizes(records: Iterable[Record], temporary: Collection[str]) -> Iterator[Damage]:
    for record in records:
        path, expected = Path(record.file), f"{record.bytes} bytes"
        size = path.stat().st_size if path.is_file() else None
        if size is None and record.file not in temporary:
            yield Damage(record.file, "no file", expected)
        elif size not in (None, record.bytes):
            yield Damage(record.file, f"{size} bytes", expected)


def own_files(what: str, paths: Collection[str]) -> Iterator[Finding]:
    """Whether files that the user brought are there, and what their names say.

    Parameters
    ----------
    what
        Whose files they are.
    paths
        The files.
    """
    check = f"{what}, brought"
    there = [path for path in paths if Path(path).is_file()]
    read, left = _affordable(there, lambda path: Path(path).stat().st_size)
    faults = []
    for path in [*(path for path in paths if path not in there), *read]:
        try:
            check_own(path)
        except InputError as error:
            faults.append(of_error(check, error))
    yield from faults
    if not faults:
        found = f"{len(paths)} files are there, {len(read)} of them were read"
        remedy = "The others are read by the check of the model, before it is used." if left else ""
        yield Finding(check, Result.OK, found, remedy)


def own_folders(model: str, folders: Collection[str], loader: str | None) -> Iterator[Finding]:
    """Whether folders of models that the user brought have all their parts.

    Parameters
    ----------
    model
        Its name.
    folders
        The folders; without any there is no row.
    loader
        Place of a backbone's class, as ``module:Name``.

    Raises
    ------
    InputError
        If a part is missing, or does not fit the others.
    """
    remedy = "Copy the folder again, with all of its files."
    for folder in folders:
        if loader:
            try:
                implementation(loader).describe(folder)
            except InputError as error:
                facts = {"found": error.found, "expected": error.expected}
                raise InputError(error.source, **facts, remedy=error.remedy or remedy) from error
        for part in sorted(Path(folder).rglob("config.json")):
            if not any(part.parent.glob("*.safetensors")) and not any(part.parent.glob("*.bin")):
                raise InputError(
                    part.parent,
                    found="a configuration without weights",
                    expected="a file .safetensors or .bin beside it",
                    remedy=remedy,
                )
    if folders:
        yield Finding(f"{model}, its parts", Result.OK, f"all there in {listing(folders)}")


def _affordable(items: Iterable[T], size: Callable[[T], int]) -> tuple[list[T], list[T]]:
    """The items that are read, the smaller ones first, and those that are too many bytes."""
    read, left, total = [], [], 0
    for item in sorted(items, key=size):
        total += size(item)
        (read if total <= READ_AT_MOST else left).append(item)
    return read, left
