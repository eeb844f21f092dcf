"""What was fetched, from where, with which checksum; and checking it again."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from nsdrecon import store
from nsdrecon.errors import InputError, listing
from nsdrecon.transfer import checksums

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One fetched file.

    Parameters
    ----------
    file
        Path, as the workflow names it.
    bytes
        Its length.
    checksum
        ``<kind>:<value>``, see `checksums`.
    source
        Where it came from.
    when
        When it was complete, UTC, ISO 8601.
    """

    file: str
    bytes: int
    checksum: str
    source: str
    when: str


COLUMNS = [field.name for field in fields(Record)]


@dataclass(frozen=True)
class Damage:
    """A file that is not what its record says."""

    file: str
    found: str
    expected: str


def record_of(
    path: str | Path,
    source: str,
    checksum: str | None = None,
    *,
    data: Path | None = None,
    table: str | Path | None = None,
) -> Record:
    """The record of a file that is there.

    Parameters
    ----------
    path
        The file.
    source
        Where it came from.
    checksum
        Without one, its SHA-256 is computed: what is not published is recorded on first use.
    data
        Where its bytes are, if it does not have its name yet.
    table
        Where to write the record, if anywhere.
    """
    data = data or Path(path)
    status = data.stat()
    when = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
    checksum = checksum or checksums.compute(data, "sha256")
    record = Record(str(path), status.st_size, checksum, source, when)
    if table is not None:
        write_manifest(table, [record])
    return record


def files_of(path: str | Path) -> list[Path]:
    """A file, or all files below a folder, sorted."""
    path = Path(path)
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def write_manifest(path: str | Path, records: Iterable[Record]) -> None:
    """Write records as a table sorted by file, all or nothing.

    Raises
    ------
    InputError
        If a file is recorded twice with different contents.
    """
    known: dict[str, Record] = {}
    for record in records:
        before = known.setdefault(record.file, record)
        if (before.bytes, before.checksum) != (record.bytes, record.checksum):
            raise InputError(path, found=f"{record.file} with two checksums", expected="one")
    rows = [asdict(known[file]) for file in sorted(known)]
    store.write_table(path, pd.DataFrame(rows, columns=COLUMNS))


def read_manifest(path: str | Path) -> list[Record]:
    """Read the records of a table made by `write_manifest`.

    Raises
    ------
    InputError
        If the file is missing or lacks a column.
    """
    table = store.read_table(path, COLUMNS)
    return [
        Record(str(file), int(size), str(checksum), str(source), str(when))
        for file, size, checksum, source, when in table[COLUMNS].itertuples(index=False)
    ]


def recorded_checksum(path: str | Path, file: str | Path) -> str | None:
    """The checksum a manifest has for a file; None without a manifest or a record."""
    if not Path(path).is_file():
        return None
    found = {record.file: record.checksum for record in read_manifest(path)}
    return found.get(str(file))


def verify(records: Iterable[Record], temporary: Collection[str] = ()) -> list[Damage]:
    """Read every recorded file again and compare it with its record.

    Parameters
    ----------
    records
        What should be there.
    temporary
        Files that may be gone, because the workflow removes them once they are used.

    Returns
    -------
    list of Damage
        One entry for each file that is missing, or has another length or checksum.
    """
    damages = []
    for record in records:
        path = Path(record.file)
        if not path.is_file():
            if record.file not in temporary:
                damages.append(Damage(record.file, "no file", f"{record.bytes} bytes"))
            continue
        size = path.stat().st_size
        if size != record.bytes:
            damages.append(Damage(record.file, f"{size} bytes", f"{record.bytes} bytes"))
        else:
            found = checksums.compute(path, record.checksum.partition(":")[0])
            if not checksums.fits(found, record.checksum):
                damages.append(Damage(record.file, found, record.checksum))
        logger.info(
            "%s: %s",
            record.file,
            "damaged" if damages and damages[-1].file == record.file else "whole",
        )
    return damages


def require_intact(path: str | Path, temporary: Collection[str] = ()) -> None:
    """Verify all files of a manifest.

    Raises
    ------
    InputError
        If a file is damaged; all damaged files are named.
    """
    damages = verify(read_manifest(path), temporary)
    for damage in damages:
        logger.error("%s: found %s; expected %s", *astuple(damage))
    if damages:
        files = [damage.file for damage in damages]
        raise InputError(
            path,
            found=f"{len(damages)} damaged files: {listing(files, 20)}",
            expected="every file as it was fetched",
            remedy="Remove these files and give their names to snakemake as targets (of a model's "
            "folder, its downloaded.tsv): only they are fetched again.",
        )
