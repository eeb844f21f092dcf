"""How much will travel and stay, and whether the disks take it."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nsdrecon.data.nsd import read_design, split_ids, trial_table
from nsdrecon.data.volumes import read_mask
from nsdrecon.doctor.findings import Finding, Result
from nsdrecon.layout import DESIGN, VOXEL_BYTES
from nsdrecon.transfer.plan import Planned, nsd_plan
from nsdrecon.transfer.s3 import Bucket, download_s3


@dataclass(frozen=True)
class Needs:
    """What a run takes from the data set.

    Parameters
    ----------
    root
        Folder that mirrors the bucket.
    files
        Paths by group: a subject, or all subjects.
    keys
        For each path that is filled by ranges, the object they come from.
    images
        For each file of images by ranges, the subject and the sessions (None: shared images).
    ranges
        For each file of voxels by ranges, the mask.
    voxels
        For each volume that is removed after its use: the file that stays, and its bytes.
    """

    root: str
    files: Mapping[str, Collection[str]]
    keys: Mapping[str, str]
    images: Mapping[str, tuple[str | None, Collection[int] | None]]
    ranges: Mapping[str, str]
    voxels: Mapping[str, tuple[str, int]]

    def kept(self, path: str) -> str:
        """What will be there of a path at the end of the run."""
        return self.voxels.get(path, (path, 0))[0]

    def key(self, path: str) -> str:
        """The object of the bucket that a path is filled from."""
        return self.keys.get(path) or Path(path).relative_to(self.root).as_posix()

    def missing(self) -> dict[str, list[str]]:
        """The paths that are still to be fetched, by group."""
        return {
            group: [path for path in paths if not Path(self.kept(path)).is_file()]
            for group, paths in self.files.items()
        }


def nsd_downloads(
    bucket: Bucket, needs: Needs, readable: Collection[str], folder: Path
) -> list[Planned]:
    """What of the data set is still to be fetched, with its sizes.

    How many images and voxels are fetched by ranges is read from the design and the masks; those
    that are not here yet are fetched for it: they are small.

    Parameters
    ----------
    bucket
        Where the data set is.
    needs
        What the run takes from it.
    readable
        Keys that can be read; others are left out.
    folder
        For the design and masks, for as long as they are looked at.
    """

    def here(path: str) -> Path:
        key = needs.key(path)
        if Path(path).is_file():
            return Path(path)
        if not (folder / key).is_file():
            download_s3(bucket, key, folder / key)
        return folder / key

    files = {
        group: [path for path in paths if needs.key(path) in readable]
        for group, paths in needs.missing().items()
    }
    wanted = {path for paths in files.values() for path in paths}
    images = {}
    for path in wanted & set(needs.images):
        design = read_design(here(f"{needs.root}/{DESIGN}"))
        subject, sessions = needs.images[path]
        images[path] = design.n_shared
        if subject:
            images[path] = len(split_ids(trial_table(design, subject, sessions), "train"))
    masks = {path: needs.ranges[path] for path in wanted & set(needs.ranges)}
    n_voxels = {mask: len(read_mask(here(mask))) for mask in set(masks.values())}
    ranges = {path: n_voxels[mask] * VOXEL_BYTES for path, mask in masks.items()}
    return list(nsd_plan(bucket, needs.root, files, images, needs.voxels, ranges))


def amounts(
    planned: Iterable[Planned], files: Mapping[str, Collection[str]], missing: Collection[str]
) -> Iterator[Finding]:
    """How much will travel and stay of every group.

    Parameters
    ----------
    planned
        What is still to be fetched, as far as sizes are known.
    files
        What will be there at the end of the run, by group.
    missing
        What of it is not here yet.
    """
    known = {item.file: item for item in planned}
    for group, paths in files.items():
        left = [path for path in paths if path in missing]
        sized = [known[path] for path in left if path in known]
        facts = [f"{len(left)} of {len(paths)} files"]
        if sized or not left:
            travels = sum(item.travels for item in sized) / 1e9
            stored = sum(item.stored for item in sized) / 1e9
            facts.append(f"{travels:.3f} GB will travel, {stored:.3f} GB stay")
        if len(sized) < len(left):
            facts.append(f"{len(left) - len(sized)} of unknown size")
        yield Finding(f"to fetch, {group}", Result.OK, "; ".join(facts))


def disks(
    folders: Iterable[str],
    planned: Iterable[Planned],
    raw: Mapping[str, str],
    copied: Collection[str],
    n_unknown: int,
) -> Iterator[Finding]:
    """Whether the disks have room for what is fetched.

    Parameters
    ----------
    folders
        Where the run writes.
    planned
        What is still to be fetched.
    raw
        For each file that is cut out of a volume, the volume, which is removed after that.
    copied
        Files that are there twice for a moment: images by ranges are copied to a file with
        checksums once they are all there.
    n_unknown
        How many files there are besides, of unknown size.
    """
    names: dict[int, list[str]] = defaultdict(list)
    for folder in folders:
        names[_device(folder)].append(folder)
    stay: dict[int, int] = defaultdict(int)
    pass_through: dict[int, int] = defaultdict(int)
    for item in planned:
        stay[_device(item.file)] += item.stored
        if item.file in raw:
            pass_through[_device(raw[item.file])] += item.travels
        if item.file in copied:
            pass_through[_device(item.file)] += item.stored
    for device, on_it in names.items():
        check, free = f"disk of {', '.join(on_it)}", shutil.disk_usage(_existing(on_it[0])).free
        yield _room(check, free, stay[device], pass_through[device], n_unknown)


def _room(check: str, free: int, stay: int, pass_through: int, n_unknown: int) -> Finding:
    found = f"{free / 1e9:.1f} GB free; downloads that stay take {stay / 1e9:.1f}"
    if pass_through:
        found += f", files on their way {pass_through / 1e9:.1f} more at most"
    found += "; what is computed comes on top"
    if n_unknown:
        found += f", and so do {n_unknown} files of unknown size"
    if free < stay:
        remedy = "Free the space, or put the folder on a larger disk (a symbolic link is enough)."
        return Finding(check, Result.FAIL, found, remedy)
    if free < stay + pass_through:
        remedy = "Raw volumes and first copies are removed after their use: fetch fewer at a time "
        return Finding(check, Result.WARN, found, remedy + "(resources: download in the profile).")
    return Finding(check, Result.WARN if n_unknown else Result.OK, found)


def _existing(path: str | Path) -> Path:
    """The nearest folder of a path that is there already."""
    path = Path(path).absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _device(path: str | Path) -> int:
    return _existing(path).stat().st_dev
