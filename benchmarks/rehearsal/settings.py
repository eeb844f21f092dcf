"""What is laid over ``config/config.yaml``: counts, and where things come from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

from snakemake.utils import update_config

from benchmarks import full_config
from benchmarks.rehearsal import metrics
from benchmarks.rehearsal.data import CAPTIONS, N_TEST, N_TRAIN, SESSIONS, TEST_REPEATS
from benchmarks.rehearsal.server import BUCKET

# What no setting shows.
ALSO_DIFFERENT = (
    "All weights are random: pictures and scores mean nothing.",
    "Models are not downloaded; networks that score do not bear the published names, which stand "
    "for published files alone.",
    "The tokenizers have the demo's vocabulary of 982 tokens in place of 49,408.",
    "The bucket is a folder behind an S3 server of the loopback interface, without TLS: what "
    "comes by ranges is fetched twice.",
    f"The data are simulated: {N_TRAIN} training images, each shown about 16 times, and {N_TEST} "
    f"test images, shown {TEST_REPEATS} times; rules whose memory grows with the images are "
    "measured at NSD's counts by benchmarks/bench_sizes.py and bench_ridge.py, but for "
    "vdvae_latents and features, which ask for what the latents of a shard take besides.",
)
# The columns of the published tables, with the file or folder of random weights for each.
NETWORKS = {
    "AlexNet(2)": "alexnet/alexnet.pth",
    "AlexNet(5)": "alexnet/alexnet.pth",
    "Inception": "inception/inception.pth",
    "CLIP": "clip",
    "EffNet-B": "efficientnet/efficientnet.pth",
    "SwAV": "swav/swav.pth.tar",
}


def overlay(models: Path, nsd: Path, endpoint: str, *, gpu: bool) -> dict[str, object]:
    """The settings of the rehearsal that differ from a full run.

    Parameters
    ----------
    models, nsd
        Folders that `models.write_models` and `data.write_nsd` filled.
    endpoint
        URL of the S3 server.
    gpu
        Whether models run on a GPU. On a CPU, batches of test images are not filled up with images
        that nobody wants, and stage 2 is in bfloat16.
    """
    batch = {} if gpu else {"batch_size": N_TEST}
    precision = {} if gpu else {"precision": "bfloat16"}
    return {
        "subjects": [1],
        "oracles": ["oracle-vdvae"],
        "brain": {"maps": [1], "regions": [1], "correlation": [1]},
        "shards": 1,
        "nsd": {
            "terms_accepted": True,
            "sessions": len(SESSIONS),
            "s3": {"bucket": BUCKET, "endpoint": endpoint},
            "captions": str(nsd / CAPTIONS),
        },
        "models": {
            "vdvae": {"checkpoint": str(models / "vdvae/vdvae.th")},
            "stable_diffusion": {"folder": str(models / "stable-diffusion")},
            "versatile_diffusion": {"folder": str(models / "versatile-diffusion")},
        },
        "stage1": batch,
        "stage2": {"steps": 2, "samples": 2, **batch, **precision},
        # Rows of the table of metrics under other names, for which any weights will do.
        "extensions": [str(Path(metrics.__file__))],
        "evaluation": {
            "bootstrap": 1000,
            # Two of the four test images are in the cluster that is left out.
            "categories": 12,
            "held_out": [4],
            "repeats": ["vdvae"],
            "holdout": ["vdvae"],
            "networks": [
                {"name": metrics.renamed(name), "weights": str(models / path)}
                for name, path in NETWORKS.items()
            ],
        },
    }


def whole_config(changes: Mapping[str, object]) -> dict[str, object]:
    """The complete configuration of a run with these settings laid over ``config/config.yaml``."""
    config = full_config()
    update_config(config, copy.deepcopy(dict(changes)))
    return config


def differences(changes: Mapping[str, object]) -> Iterator[tuple[str, object, object]]:
    """Key, value in ``config/config.yaml`` and value in the rehearsal, of what differs."""
    full, own = dict(_flat(full_config())), dict(_flat(whole_config(changes)))
    for key, value in own.items():
        if full[key] != value:
            yield key, full[key], value


def _flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
