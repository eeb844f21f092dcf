"""How much a run will fetch and store, before anything starts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nsdrecon.errors import InputError, listing
from nsdrecon.layout import STIMULI
from nsdrecon.transfer.catalogue import FILES, REPOSITORIES
from nsdrecon.transfer.chunks import OVERHEAD
from nsdrecon.transfer.https import web_size
from nsdrecon.transfer.ranges import remote_layout
from nsdrecon.transfer.s3 import Bucket
from nsdrecon.transfer.weights import list_hub

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """A file a run needs.

    Parameters
    ----------
    group
        Whose it is: a subject's, or "all subjects", "models".
    file
        What will be there of it at the end of the run.
    travels
        Bytes that are fetched for it.
    stored
        Bytes that stay on disk for it at the end of the run (fewer where the raw file is removed
        after use).
    """

    group: str
    file: str
    travels: int
    stored: int


def nsd_plan(
    bucket: Bucket,
    root: str,
    files: Mapping[str, Collection[str]],
    images: Mapping[str, int],
    voxels: Mapping[str, tuple[str, int]],
    ranges: Mapping[str, int],
) -> Iterator[Planned]:
    """The files of the data set that a run needs, with their sizes in the bucket.

    Parameters
    ----------
    bucket
        Where they come from.
    root
        Folder that mirrors the bucket.
    files
        Paths by group; those below ``root`` are objects of the bucket.
    images
        How many images of the stimulus file go to each path that is filled by ranges.
    voxels
        For each volume that is removed after its use: the file that stays, and its bytes.
    ranges
        Bytes of each file of voxels that is filled by ranges. What travels for them, with the index
        and gaps, is estimated.
    """
    if ranges:
        logger.info("what travels for voxels by ranges is an estimate (%d times them)", OVERHEAD)
    objects = {
        path: PurePosixPath(path).relative_to(root).as_posix()
        for paths in files.values()
        for path in paths
        if path not in images and path not in ranges
    }
    sizes = bucket.sizes(objects.values())
    image_bytes = remote_layout(bucket, STIMULI).image_bytes if images else 0
    for group, paths in files.items():
        for path in paths:
            if path in images:
                size = images[path] * image_bytes
                yield Planned(group, path, size, size)
            elif path in ranges:
                yield Planned(group, path, OVERHEAD * ranges[path], ranges[path])
            else:
                size = sizes[objects[path]]
                yield Planned(group, *_kept(path, size, voxels))


def _kept(path: str, size: int, voxels: Mapping[str, tuple[str, int]]) -> tuple[str, int, int]:
    file, stored = voxels.get(path, (path, size))
    return file, size, stored


def model_plan(paths: Iterable[str], mirrors: Mapping[str, Sequence[str]]) -> Iterator[Planned]:
    """The models that a run needs.

    Parameters
    ----------
    paths
        Below ``resources/models/``: files, or folders of repositories.
    mirrors
        Other addresses of files, by the names of their folders.

    Raises
    ------
    InputError
        If a model is not known, or no server tells its size.
    """
    for path in paths:
        name = Path(path).parts[2]
        if name in FILES:
            here = Path(path).is_file()
            urls = [FILES[name].url, *mirrors.get(name, [])]
            size = Path(path).stat().st_size if here else FILES[name].size or web_size(urls, path)
            yield Planned("models", path, size, size)
        elif name in REPOSITORIES:
            source = REPOSITORIES[name]
            files = list_hub(source.repository, source.revision, source.patterns)
            size = sum(file.size for file in files)
            yield Planned("models", f"{path}/downloaded.tsv", size, size)
        else:
            known = listing([*FILES, *REPOSITORIES], 20)
            raise InputError("models", found=path, expected=f"a path of your own or {known}")
