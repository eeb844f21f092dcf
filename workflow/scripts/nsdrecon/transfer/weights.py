"""Pretrained models: repositories of the Hugging Face hub, and files that the user brings."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from nsdrecon.errors import InputError, listing
from nsdrecon.transfer.catalogue import FILES, ModelFile
from nsdrecon.transfer.guards import local_path
from nsdrecon.transfer.manifest import Record, read_manifest, record_of
from nsdrecon.transfer.sources import TransferError

logger = logging.getLogger(__name__)

LFS_POINTER = b"version https://git-lfs"
SHA256 = re.compile(r"[0-9a-f]{64}")


def list_hub(
    repository: str, revision: str, patterns: Sequence[str] = (), *, endpoint: str | None = None
) -> list[RepoFile]:
    """The files of a repository at a commit; parameters and errors as for `download_hub`."""
    with _hub_errors(repository, revision):
        tree = HfApi(endpoint=endpoint).list_repo_tree(
            repository, recursive=True, revision=revision
        )
        every = [item for item in tree if isinstance(item, RepoFile)]
    files = [
        file for file in every if not patterns or any(fnmatchcase(file.path, p) for p in patterns)
    ]
    for pattern in patterns:
        if not any(fnmatchcase(file.path, pattern) for file in files):
            raise InputError(
                f"{repository}@{revision}",
                found=f"no file like {pattern!r} among {listing(file.path for file in every)}",
                expected="the files of the model",
                remedy="Another revision may have them.",
            )
    return files


def require_hub(
    repository: str, revision: str, patterns: Sequence[str] = (), *, endpoint: str | None = None
) -> None:
    """Stop unless the files of a repository may be fetched, not just listed.

    The list of a gated repository can be read by everybody. Parameters and errors as for
    `download_hub`.
    """
    file, *_ = list_hub(repository, revision, patterns, endpoint=endpoint)
    url = hf_hub_url(repository, file.path, revision=revision, endpoint=endpoint)
    with _hub_errors(repository, revision):
        HfApi(endpoint=endpoint).get_hf_file_metadata(url=url)


def download_hub(
    repository: str,
    revision: str,
    folder: str | Path,
    patterns: Sequence[str] = (),
    *,
    endpoint: str | None = None,
) -> list[Record]:
    """Fetch files of a repository at one commit into a folder, whole and verified.

    Files that are there already and are whole are kept, damaged ones are fetched again. A gated
    repository is read as the account that ``hf auth login`` or ``HF_TOKEN`` names.

    Parameters
    ----------
    repository
        ``owner/name``.
    revision
        Commit. (A branch or a tag works, but is not the same tomorrow.)
    folder
        Where the files go, by their names in the repository.
    patterns
        Which files, as shell patterns; all by default.
    endpoint
        Address of a mirror of the hub; default as huggingface_hub has it (``HF_ENDPOINT``).

    Returns
    -------
    list of Record
        The files; checksums are SHA-256.

    Raises
    ------
    InputError
        If the repository is gated, moved or misspelt, the revision or the files do not exist, or
        a file is not what the hub says.
    TransferError
        If the hub cannot be reached, or fails.
    """
    folder = Path(folder)
    files = list_hub(repository, revision, patterns, endpoint=endpoint)
    paths = {file.path: local_path(folder, file.path) for file in files}
    folder.mkdir(parents=True, exist_ok=True)

    def damages() -> dict[str, str]:
        """Files that are not what the hub says, and what they are."""
        found = HfApi(endpoint=endpoint).verify_repo_checksums(
            repository, revision=revision, local_dir=folder
        )
        other = {
            entry["path"]: f"{entry['algorithm']} {entry['actual']}" for entry in found.mismatches
        }
        named = {**dict.fromkeys(found.missing_paths, "missing"), **other}
        return {name: what for name, what in named.items() if name in paths}

    with _hub_errors(repository, revision):
        wanted = damages()
        logger.info("%s: fetching %d of %d files", repository, len(wanted), len(files))
        if wanted:
            for name in wanted:
                paths[name].unlink(missing_ok=True)
            snapshot_download(
                repository,
                revision=revision,
                local_dir=folder,
                allow_patterns=list(wanted),
                endpoint=endpoint,
            )
            wanted = damages()
    source = f"{endpoint or constants.ENDPOINT}/{repository}@{revision}"
    if wanted:
        raise InputError(
            folder,
            found=listing((f"{name}: {found}" for name, found in wanted.items()), 20),
            expected=f"the files of {source}",
            remedy="Run again to fetch them anew.",
        )
    return [
        record_of(
            paths[file.path], f"{source}/{file.path}", file.lfs and f"sha256:{file.lfs.sha256}"
        )
        for file in files
    ]


def check_own_files(paths: Iterable[str | Path], former: str | Path) -> list[Record]:
    """The records of a model's files that the user brought, after the checks of `check_own`.

    Parameters
    ----------
    paths
        The files.
    former
        The records of an earlier check, where there was one. A file that was replaced since then
        has another checksum and a later date; what was made with it is then made again.

    Raises
    ------
    InputError
        As `check_own`; or if a file has another checksum than before without having a later date,
        by which nothing that was made with it would be made again.
    """
    paths = list(map(Path, paths))
    for path in paths:  # before any checksum is computed, which takes minutes
        _require_contents(path)
    known = {}
    if Path(former).is_file():
        known = {record.file: record for record in read_manifest(former)}
    records = [check_own(path) for path in paths]
    for record in records:
        before = known.get(record.file, record)
        if record.checksum == before.checksum:
            continue
        if record.when <= before.when:
            raise InputError(
                record.file,
                found=f"{record.checksum}, dated {record.when}",
                expected=f"{before.checksum} as at its first use, or a later date than then",
                remedy="If it was replaced on purpose, touch it: what was made with it is made "
                "again. If not, it is damaged: bring the former file back.",
            )
        logger.warning("%s: replaced, was %s, is %s", record.file, before.checksum, record.checksum)
    return records


def check_own(path: str | Path) -> Record:
    """The record of a model's file that the user brought.

    A file gets the checks that its download would get if it has the name of a file of the
    catalogue, or the beginning of such a file's checksum in its name, or if it lies in a cache of
    the hub, where a file's checksum is its name. Of the others the SHA-256 is recorded.

    Raises
    ------
    InputError
        If it is missing, stands for a file that was not fetched, or is not what its name says.
    """
    path = Path(path)
    _require_contents(path)
    model = next((known for known in FILES.values() if _is_named_by(path, known)), None)
    remedy = model and (
        f"Replace it by the file of {model.url}, or rename it if it is another model's."
    )
    size = path.stat().st_size
    if model and model.size not in (None, size):
        raise InputError(
            path, found=f"{size} bytes", expected=f"{model.size} as {model.url}", remedy=remedy
        )
    record = record_of(path, str(path))
    if model and model.sha256 and not record.checksum.startswith(f"sha256:{model.sha256}"):
        raise InputError(
            path,
            found=record.checksum,
            expected=f"sha256:{model.sha256} as {model.url}",
            remedy=remedy,
        )
    stored = path.resolve()
    cached = stored.parent.name == "blobs" and SHA256.fullmatch(stored.name)
    if cached and record.checksum != f"sha256:{stored.name}":
        raise InputError(
            path,
            found=record.checksum,
            expected=f"sha256:{stored.name}, its name in the hub's cache",
            remedy=f"Remove {stored} and fetch it again.",
        )
    return record


def _is_named_by(path: Path, model: ModelFile) -> bool:
    return path.name == model.name or bool(model.sha256 and model.sha256[:8] in path.name)


def _require_contents(path: Path) -> None:
    """Stop at a file that is missing, or a pointer of git-lfs in place of the contents."""
    if not path.is_file():
        raise InputError(path, found="no file", expected="a file of a model")
    with path.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise InputError(
                path,
                found="a pointer of git-lfs",
                expected="the contents it stands for",
                remedy="Run `git lfs pull` in its folder, or copy the file itself.",
            )


@contextmanager
def _hub_errors(repository: str, revision: str) -> Iterator[None]:
    """Say what a fault of the hub means, and what to do."""
    label = f"{repository}@{revision}"
    elsewhere = "or give a local folder that has the files."
    try:
        yield
    except GatedRepoError as error:
        raise InputError(
            label,
            found="a gated repository",
            expected="an account that may read it",
            remedy=f"Accept its conditions at https://huggingface.co/{repository}, then log in "
            f"with `hf auth login` (or set HF_TOKEN); {elsewhere}",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(
            label,
            found="no such repository (or a private one)",
            expected="a repository that can be read",
            remedy="It may have been moved or removed: set the name and revision of a copy, "
            + elsewhere,
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(
            label,
            found="no such revision",
            expected="a commit of the repository",
            remedy=f"Set one that exists, {elsewhere}",
        ) from error
    except OfflineModeIsEnabled as error:
        raise InputError(
            "HF_HUB_OFFLINE",
            found="1",
            expected="unset while models are fetched",
            remedy="Fetch them on a node with internet access, with this variable unset.",
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (408, 429) or status >= 500:
            raise TransferError(f"{label}: HTTP {status} from the hub. Run again.") from error
        raise InputError(
            label,
            found=f"HTTP {status} from the hub ({error})",
            expected="the files of the repository",
            remedy=f"Check token and network, {elsewhere}",
        ) from error
    except httpx2.HTTPError as error:
        raise TransferError(f"{label}: {type(error).__name__} ({error}). Run again.") from error
