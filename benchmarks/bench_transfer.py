"""Downloads against a bare boto3 transfer, on an S3 server on the loopback interface.

Run with ``python -m benchmarks.bench_transfer``; it fails where one of these numbers is missed:

* whole files at 90 % or more of the rate of ``boto3.client("s3").download_file``;
* one subject's stimuli with at most 1.1 times the bytes of its images, and at most 15 % of the
  stimulus file's;
* a session's voxels out of its HDF5 file in at most half the time of its nii.gz, through 50 MB/s
  and 30 ms a request, the same to the bit; cut out and stored, while the nii.gz is only fetched;
* at most 500 MB of memory in any of these ways.

The server is moto's unless ``--endpoint`` names another (one with a bucket that anybody may fill);
files of a session come straight from the disk. Ways that are compared alternate, each in a process
of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import operator
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import h5py
import nibabel as nib
import numpy as np
import pandas as pd
from botocore import UNSIGNED
from botocore.config import Config

from benchmarks import in_own_process
from nsdrecon.data.session_files import store_session
from nsdrecon.data.volumes import read_mask
from nsdrecon.layout import VOXELS
from nsdrecon.logs import peak_memory_mb
from nsdrecon.transfer import checksums, chunks
from nsdrecon.transfer.ranges import download_stimuli_by_ranges
from nsdrecon.transfer.s3 import Bucket, download_s3
from nsdsim.anatomy import Anatomy
from s3_server import BUCKET, FaultProxy, Handler, S3Server, make_certificate

WHOLE, BRICK = "whole.bin", "nsd_stimuli.hdf5"
NIFTI, HDF5, MASK = "betas_session01.nii.gz", "betas_session01.hdf5", "mask.nii.gz"
VOLUME, N_TRIALS, NIFTI_BYTES = (81, 104, 83), 750, 467_000_000
RATE, DELAY = 50e6, 0.03
PART = 8 << 20
IMAGE_SHAPE = (425, 425, 3)
# Images in the stimulus file, and those one subject saw in all sessions.
N_IMAGES, N_SEEN = 73_000, 10_000
REACHED = {"at least": operator.ge, "at most": operator.le}
MEMORY = ("at most", 500)


def bare_boto3(url: str, path: Path) -> None:
    """What everybody would write."""
    config = Config(signature_version=UNSIGNED, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-2", config=config)
    client.download_file(BUCKET, WHOLE, str(path))


def ours(url: str, path: Path) -> None:
    """The same file, resumable and verified."""
    download_s3(Bucket(BUCKET, endpoint=url), WHOLE, path)


def by_ranges(url: str, path: Path) -> None:
    """The images of one subject."""
    download_stimuli_by_ranges(
        Bucket(BUCKET, endpoint=url), BRICK, np.loadtxt(f"{path}.ids", int), path
    )


def volume(url: str, path: Path) -> None:
    """The volume of a session."""
    download_s3(Bucket(BUCKET, endpoint=url), NIFTI, path)


def voxels(url: str, path: Path) -> None:
    """The voxels of a session's HDF5 file, cut out and stored."""
    mask = path.with_name(MASK)
    trials = np.arange(N_TRIALS)
    table = pd.DataFrame({"session": 1, "trial": trials, "nsd_id": trials})
    bucket = Bucket(BUCKET, endpoint=url, workers=chunks.WORKERS)
    wanted = read_mask(mask)
    betas = chunks.read_voxels(bucket, HDF5, wanted.index, wanted.shape, N_TRIALS)
    store_session(betas, wanted, table, "subj01", 1, path)


WAYS = {way.__name__: way for way in (bare_boto3, ours, by_ranges, volume, voxels)}


def worker(way: str, url: str, path: Path) -> None:
    """Fetch in this process; print seconds and peak memory."""
    start = time.perf_counter()
    WAYS[way](url, path)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "memory_mb": peak_memory_mb()}))


def bench_whole(url: str, size: int, repeats: int, folder: Path) -> dict[str, float]:
    """Rates of both ways, and their ratio."""
    runs: dict[str, list[dict[str, float]]] = {"bare_boto3": [], "ours": []}
    for _ in range(repeats):
        for way, found in runs.items():
            path = folder / way
            found.append(in_own_process(__file__, way, url, path))
            path.unlink()
    seconds = {
        way: statistics.median(run["seconds"] for run in found) for way, found in runs.items()
    }
    return {
        "boto3_mb_s": size / 1e6 / seconds["bare_boto3"],
        "ours_mb_s": size / 1e6 / seconds["ours"],
        "ratio": seconds["bare_boto3"] / seconds["ours"],
        "memory_mb": max(run["memory_mb"] for run in runs["ours"]),
    }


def bench_ranges(port: int, n_images: int, folder: Path) -> dict[str, float]:
    """Bytes that travel for one subject's share of a stimulus file, by TLS as from Amazon."""
    n_seen = round(n_images * N_SEEN / N_IMAGES)
    seen = np.random.default_rng(0).permutation(n_images)[:n_seen]
    path = folder / "stimuli.h5"
    np.savetxt(f"{path}.ids", seen, fmt="%d")
    certificate = make_certificate(folder / "certificate.pem")
    with FaultProxy(port, certificate) as proxy:
        found = in_own_process(
            __file__, "by_ranges", proxy.url, path, AWS_CA_BUNDLE=str(certificate)
        )
        sent, gets = proxy.sent, proxy.gets
    image = math.prod(IMAGE_SHAPE)
    with h5py.File(path) as local, h5py.File(folder / BRICK) as whole:
        for row, nsd_id in enumerate(local["nsd_id"]):
            np.testing.assert_array_equal(local["images"][row], whole["imgBrick"][nsd_id])
    return {
        "requests": gets,
        "of_file": sent / (n_images * image),
        "of_images": sent / (n_seen * image),
        "memory_mb": found["memory_mb"],
    }


class FromDisk(Handler):
    """Answers from files in a folder: moto would be what is measured."""

    folder: Path
    etags: dict[str, str]

    def ask(self) -> tuple[int, dict[str, str], bytes]:
        """What S3 answers to HEAD and to a request for a range."""
        name = Path(urlsplit(self.path).path).name
        size = (self.folder / name).stat().st_size
        headers = {"ETag": f'"{self.etags[name]}"', "Content-Length": str(size)}
        if self.command == "HEAD":
            if "partNumber" in self.path:
                headers["Content-Length"] = str(PART)
            return 200, headers, b""
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        with (self.folder / name).open("rb") as file:
            body = os.pread(file.fileno(), last - first + 1, first)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return 206, headers, body


def bench_voxels(repeats: int, folder: Path) -> dict[str, float]:
    """A session's voxels by ranges against its whole volume, by TLS as from Amazon."""
    mask = Anatomy(VOLUME, VOXELS[1], ("benchmark",)).general
    nib.save(nib.Nifti1Image(mask.astype(np.int16), np.eye(4)), folder / MASK)
    write_session(folder / HDF5)
    (folder / NIFTI).write_bytes(np.random.default_rng(0).bytes(NIFTI_BYTES))
    FromDisk.folder = folder
    FromDisk.etags = {
        name: checksums.compute(folder / name, f"etag-{PART}").partition(":")[2]
        for name in (NIFTI, HDF5)
    }
    certificate = make_certificate(folder / "certificate.pem")
    runs: dict[str, list[dict[str, float]]] = {"volume": [], "voxels": []}
    with FaultProxy(0, certificate, RATE, DELAY, FromDisk) as proxy:
        for _ in range(repeats):
            for way, found in runs.items():
                proxy.sent = proxy.gets = 0
                path = folder / f"{way}.h5"
                run = in_own_process(__file__, way, proxy.url, path, AWS_CA_BUNDLE=str(certificate))
                found.append(run | {"mb": proxy.sent / 1e6, "requests": proxy.gets})
                if way == "voxels":
                    with h5py.File(path) as file:
                        expected = made_up(file["voxel"][()].T)
                        np.testing.assert_array_equal(file["betas"][()], expected)
                path.unlink()
    numbers = {
        f"{way}_{name}": statistics.median(run[name] for run in found)
        for way, found in runs.items()
        for name in ("seconds", "mb", "requests", "memory_mb")
    }
    return {**numbers, "ratio": numbers["volume_seconds"] / numbers["voxels_seconds"]}


def made_up(voxel: np.ndarray) -> np.ndarray:
    """Betas of voxels whose coordinates are (3, ...): shape (trials, ...), int16."""
    number = np.ravel_multi_index(tuple(voxel), VOLUME)
    trial = np.arange(N_TRIALS).reshape(-1, *[1] * number.ndim)
    return (number * 40_503 + trial * 10_007).astype(np.int16)


def write_session(path: Path) -> None:
    """A session of full size, a chunk a voxel, as MATLAB writes it."""
    with h5py.File(path, "w") as file:
        shape = (N_TRIALS, *VOLUME[::-1])
        betas = file.create_dataset("betas", shape, np.int16, chunks=(N_TRIALS, 1, 1, 1))
        for k in range(VOLUME[2]):
            for j in range(VOLUME[1]):
                i = np.arange(VOLUME[0])
                betas[:, k, j] = made_up(np.array(np.broadcast_arrays(i, j, k)))


def write_brick(path: Path, n_images: int) -> None:
    """A stimulus file of noise."""
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("imgBrick", (n_images, *IMAGE_SHAPE), np.uint8)
        for row in range(n_images):
            images[row] = generator.integers(0, 256, IMAGE_SHAPE, dtype=np.uint8)


def report(title: str, numbers: dict[str, float], goals: dict[str, tuple[str, float]]) -> list[str]:
    """One line a number, with its goal; those that are missed."""
    print(title)
    missed = []
    for name, value in numbers.items():
        side, goal = goals.get(name, ("", ""))
        print(f"  {name:16} {value:10.3f}  {side} {goal}".rstrip())
        if side and not REACHED[side](value, goal):
            missed.append(f"{title}: {name} {value:.3f}, expected {side} {goal}")
    return missed


def main() -> None:
    """Run all three benchmarks.

    Raises
    ------
    SystemExit
        If a number is missed; it names them all.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size-mb", type=int, default=256, help="length of the whole file")
    parser.add_argument("--images", type=int, default=365, help="images in the stimulus file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--endpoint", help="S3 server to fetch the whole file from")
    arguments = parser.parse_args()
    size = arguments.size_mb << 20
    server = S3Server(arguments.endpoint)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / WHOLE).write_bytes(np.random.default_rng(0).bytes(size))
            server.upload(WHOLE, folder / WHOLE)
            missed = report(
                f"whole file of {size / 1e6:.0f} MB",
                bench_whole(server.url, size, arguments.repeats, folder),
                {"ratio": ("at least", 0.9), "memory_mb": MEMORY},
            )
            write_brick(folder / BRICK, arguments.images)
            server.upload(BRICK, folder / BRICK)
            missed += report(
                f"one subject's share of {arguments.images} images",
                bench_ranges(server.port, arguments.images, folder),
                {
                    "of_file": ("at most", 0.15),
                    "of_images": ("at most", 1.1),
                    "memory_mb": MEMORY,
                },
            )
            missed += report(
                "a session's voxels, against its volume",
                bench_voxels(arguments.repeats, folder),
                {"ratio": ("at least", 2), "voxels_memory_mb": MEMORY},
            )
    finally:
        server.stop()
    if missed:
        raise SystemExit("\n".join(missed))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in WAYS:
        worker(*sys.argv[1:3], Path(sys.argv[3]))
    else:
        main()
