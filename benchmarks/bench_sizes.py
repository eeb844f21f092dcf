"""What the rules on CPU cores take at the size of NSD, against what they ask the scheduler for.

Every rule's own script runs in a process of its own on files of noise that have the sizes of NSD's
subject 1: 37 sessions, 15,724 voxels, 8,859 training and 982 test images of 425 x 425 pixels. Where
memory is bounded by blocks a part of the targets or images stands for all of them, in two sizes:
the peak must not grow. A peak above the rule's ``mem_mb``, or a time above its ``runtime``, fails.

The file of stimuli is sparse, so reading it costs no disk; the volume of a session compresses
better than a real one (`bench_betas` has the real entropy); eigenvectors of the Gram matrix and
weights of all targets are in ``bench_ridge --full``. Rules with a GPU are not here.

Run with ``python -m benchmarks.bench_sizes`` (about eight minutes on two cores, 12 GB of disk, 3 GB
of memory).
"""

from __future__ import annotations

import argparse
import json
import math
import runpy
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

from benchmarks import SCRIPTS, asked_for, full_config, in_own_process
from benchmarks.nsd_sized import (
    N_SESSIONS,
    N_SYNTHETIC,
    N_TEST,
    SCREEN,
    ids_of,
    write_categories,
    write_design,
    write_latents,
    write_regions,
    write_scores,
    write_session_volume,
    write_sessions,
    write_shards,
    write_stimuli,
    write_synthetic,
)
from nsdrecon.metrics import as_params, configured_metrics
from nsdrecon.provenance import written_in
from nsdrecon.regions import REGIONS
from nsdrecon.settings import setting
from nsdrecon.systems import STAGE1, registry

SD_TEXT, VD_VISION = (77, 768), (257, 768)
SUBJECTS = [f"subj{number:02d}" for number in (1, 2, 5, 7)]
RUN = "sizes"
GROWTH = 1.25  # at most, of a peak when the data double, where memory is bounded by blocks
# Rules that config.yaml as it is does not run are asked about as well.
ALSO = {
    "dataset": {"tests": ["synthetic"]},
    "nsd": {"stimuli": "whole", "volumes": "whole"},
    "stage2": {"samples": 5},
    "brain": {key: [1] for key in ("maps", "regions", "dimensions", "correlation", "pictures")},
}


@dataclass(frozen=True)
class Job:
    """One run of a rule's script; ``share`` says which part of NSD's size it has."""

    rule: str
    input: Mapping[str, object] | Sequence[str]
    output: Mapping[str, object] | Sequence[str]
    params: Mapping[str, object] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=lambda: {"subject": "subj01"})
    share: str = ""


def main(argv: list[str] | None = None) -> None:
    """Print a row a job; fails if a rule asks for less than it takes."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    config = full_config(ALSO)
    with tempfile.TemporaryDirectory() as folder:
        compare(
            chain.from_iterable(part(Path(folder), config) for part in PARTS), asked_for(config)
        )


def compare(jobs: Iterable[Job], asked: Mapping[str, tuple[int, int]]) -> None:
    """Print a row a job, with the memory (MB) and the minutes that its rule asks for.

    Raises
    ------
    SystemExit
        If a job takes more, or its memory grows with the data.
    """
    columns = f"{'seconds':>8} {'peak MB':>8} {'asks MB':>8} {'min':>4}"
    print(f"{'rule':22} {'part':>14} {columns}")
    failures: list[str] = []
    peaks: dict[str, float] = {}
    with written_in(RUN, {"source": "noise", "settings": {}}):
        for job in jobs:
            found = in_own_process(__file__, job.rule, json.dumps(asdict(job)))
            memory, minutes = asked[job.rule]
            print(
                f"{job.rule:22} {job.share or 'all':>14} {found['seconds']:8.1f} "
                f"{found['peak_mb']:8.0f} {memory:8} {minutes:4}",
                flush=True,
            )
            if found["peak_mb"] > memory or found["seconds"] > 60 * minutes:
                failures.append(f"{job.rule} takes more than it asks for")
            if found["peak_mb"] > GROWTH * peaks.get(job.rule, math.inf):
                failures.append(f"{job.rule}: memory grows with the data")
            peaks[job.rule] = found["peak_mb"]
    if failures:
        raise SystemExit("; ".join(failures))


def _settings(config: dict, *keys: str) -> dict:
    """The configuration values of a rule's ``cfg``."""
    return {key: setting(config, key) for key in keys}


class _Params(dict):
    """Parameters of a rule, which have names and can be asked for."""

    def __getattribute__(self, name: str) -> object:
        # Names come before the methods of a dict: a rule may call a parameter "values".
        return self[name] if name in self else super().__getattribute__(name)


class _Files(list):
    """What Snakemake gives a script: a list whose items have names as well."""

    def __init__(self, files: Mapping[str, object] | Sequence[str]) -> None:
        named = files if isinstance(files, dict) else {}
        values = ([one] if isinstance(one, str) else one for one in named.values() or [files])
        super().__init__(chain.from_iterable(values))
        self.__dict__.update(named)

    def __getitem__(self, item: object) -> object:
        return self.__dict__[item] if isinstance(item, str) else super().__getitem__(item)

    def get(self, name: str) -> object:
        """A named item, None if there is none of the name."""
        return self.__dict__.get(name)


def _run(job: Mapping[str, object]) -> dict[str, float]:
    start = time.perf_counter()
    context = SimpleNamespace(
        rule=job["rule"],
        config={"run": {"name": RUN}},
        input=_Files(job["input"]),
        output=_Files(job["output"]),
        log=[None],
        params=_Params(job["params"]),
        wildcards=_Params(job["wildcards"]),
        threads=2,
    )
    runpy.run_path(str(SCRIPTS / f"{job['rule']}.py"), init_globals={"snakemake": context})
    from nsdrecon.logs import peak_memory_mb

    return {"seconds": time.perf_counter() - start, "peak_mb": peak_memory_mb()}


def responses(folder: Path, config: dict) -> Iterator[Job]:
    """From the volume of a session to predictions; leaves the subject's mean responses."""
    write_session_volume(folder)
    write_design(folder)
    trials = f"{folder}/trials.tsv"
    yield Job(
        "session_betas",
        {
            "betas": f"{folder}/betas.nii.gz",
            "mask": f"{folder}/mask.nii.gz",
            "design": f"{folder}/design.mat",
        },
        [f"{folder}/session.h5"],
        wildcards={"subject": "subj01", "session": "01"},
    )
    train, test = f"{folder}/train.h5", f"{folder}/test.h5"
    yield Job(
        "average_betas",
        {
            "sessions": write_sessions(folder),
            "trials": trials,
            "design": f"{folder}/design.mat",
        },
        {"train": train, "test": test, "tests": []},
        {
            "cfg": _settings(config, "responses.min_ncsnr", "responses.session_zscore"),
            "tests": [],
            "sessions": list(range(1, N_SESSIONS + 1)),
        },
    )
    further, further_design = write_synthetic(folder)
    yield Job(
        "further_betas",
        {
            "session": further,
            "tables": [further_design],
            "train": train,
            "sessions": [],
            "trials": trials,
        },
        [f"{folder}/further.h5"],
        {"experiment": "synthetic", "sessions": []},
        {"subject": "subj01", "test": "synthetic"},
    )
    yield Job(
        "repeats_betas",
        [test],
        [f"{folder}/repeats.h5"],
        {"of": 3},
        {"subject": "subj01", "n": "2"},
    )
    gram = f"{folder}/gram.h5"
    how = {"device": "cpu", **_settings(config, "regression.block")}
    yield Job("gram", [train], [gram], {"how": how, "eigenvectors": False})
    ridge = ("alpha.vdvae", "alpha_grid", "alpha_per_target", "rescale")
    params = {"cfg": _settings(config, *(f"regression.{name}" for name in ridge)), "how": how}
    wildcards = {"subject": "subj01", "feature": "vdvae"}
    for n_targets in (8192, 16_384):
        latents = write_latents(folder / f"{n_targets}.h5", ids_of(train), (n_targets,))
        weights, share = f"{folder}/weights-{n_targets}.h5", f"{n_targets} targets"
        yield Job(
            "weights",
            {"gram": gram, "betas": train, "latents": latents},
            {"weights": weights, "scores": f"{folder}/scores.tsv"},
            {**params, "parts": None},
            wildcards,
            share,
        )
        output = [f"{folder}/predicted.h5"]
        inputs = {"weights": weights, "betas": test}
        yield Job("predictions", inputs, output, params, wildcards, share)
    _remove(weights, latents, *folder.glob("session*"), folder / "betas.nii.gz")


def brain(folder: Path, config: dict) -> Iterator[Job]:
    """Analyses of voxels and regions; needs mean responses, Gram matrix, latents and weights."""
    ratios, volumes = write_regions(folder, [region.volume for region in REGIONS])
    betas, test, latents = (f"{folder}/{name}.h5" for name in ("train", "test", "8192"))
    weights = f"{folder}/weights-8192.h5"
    responses = {"gram": f"{folder}/gram.h5", "betas": betas}
    regions = {"regions": [astuple(region) for region in REGIONS], "volumes": list(volumes)}
    how = {"how": {"device": "cpu", **_settings(config, "regression.block")}}
    features = [STAGE1, *registry([]).features]
    maps = {name: [f"{folder}/{name}.nii.gz"] for name in ("importance", "encoding")}
    yield Job(
        "maps",
        {**responses, "ncsnr": ratios, "latents": [latents], "weights": [weights]},
        {**maps, "ceiling": f"{folder}/ceiling.nii.gz", **_figure(folder)},
        {"features": ["vdvae"], **how},
        share="8192 targets",
    )
    yield Job(
        "regions",
        {**responses, "latents": [latents] * len(features), "volumes": list(volumes.values())},
        {"table": f"{folder}/regions.tsv", **_figure(folder)},
        {
            "cfg": _settings(config, "evaluation.bootstrap", "regression.alpha_grid", "seed"),
            "features": features,
            **regions,
            **how,
        },
        share=f"{len(features)} x 8192",
    )
    encoding = [f"{folder}/encoding.h5"]
    yield Job("encoding", {**responses, "latents": latents}, encoding, how, share="8192 features")
    (made,) = write_shards(folder, "images", N_TEST, (1, 512, 512, 3), 1, ids_of(test))
    made = dict.fromkeys(["seen", "mean-image", *config["systems"]], made)
    yield Job(
        "correlation",
        {
            "encoding": encoding[0],
            "latents": latents,
            "betas": test,
            "train_betas": betas,
            "ncsnr": ratios,
            "volumes": list(volumes.values()),
            "pictures": [*made.values()],
        },
        {
            "table": f"{folder}/correlation.tsv",
            "accuracy": f"{folder}/accuracy.tsv",
            **_figure(folder),
        },
        {
            "cfg": _settings(config, "brain.encoding", "evaluation.bootstrap", "seed"),
            "how": {**how["how"], "latents.batch_size": 32},
            "encoder": "benchmarks.nsd_sized:noise_features",
            "folder": "",
            "settings": {},
            "pictures": list(made),
            "floors": {name: f"shuffled-{name}" for name in config["systems"]},
            "titles": {name: name for name in made},
            **regions,
        },
        share="8192 features",
    )
    yield Job(
        "dimensions",
        {"gram": f"{folder}/gram.h5", "latents": [latents] * len(features)},
        {"table": f"{folder}/dimensions.tsv", **_figure(folder)},
        {
            "cfg": _settings(config, "evaluation.bootstrap", "regression.alpha_grid", "seed"),
            "features": features,
            **how,
        },
        share=f"{len(features)} x 8192",
    )
    yield Job(
        "patterns",
        {**responses, "volumes": list(volumes.values())},
        [f"{folder}/patterns.h5"],
        {"cfg": {"brain.pattern": "binary"}, **regions},
    )
    _remove(latents, weights, *encoding, folder / "gram.h5", made["seen"])


def _figure(folder: Path) -> dict[str, str]:
    """Outputs of a rule that draws a figure."""
    return {"figure": f"{folder}/figure.png", "caption": f"{folder}/figure.txt"}


def pictures(folder: Path, config: dict) -> Iterator[Job]:
    """Stimuli and what is made of them; needs the mean responses."""
    brick = write_stimuli(folder)
    images = f"{folder}/images.h5"
    yield Job("train_stimuli", {"stimuli": brick, "trials": f"{folder}/trials.tsv"}, [images])
    yield Job(
        "shared_stimuli",
        {"stimuli": brick, "design": f"{folder}/design.mat"},
        [f"{folder}/shared.h5"],
        wildcards={},
    )
    screens = write_stimuli(folder, "screens.hdf5", N_SYNTHETIC, SCREEN)
    yield Job(
        "further_pictures",
        {"pictures": [screens]},
        [f"{folder}/further.h5"],
        {"experiment": "synthetic"},
        {"test": "synthetic"},
    )
    floors = [f"{folder}/floor-{name}.h5" for name in ("mean", "grey", "random", "nearest")]
    yield Job(
        "floors",
        {"stimuli": images, "train": f"{folder}/train.h5", "test": f"{folder}/test.h5"},
        floors,
        {"cfg": _settings(config, "seed")},
    )
    _remove(brick, screens, images, f"{folder}/shared.h5", *floors)
    shards = write_shards(folder, "images", N_TEST, (1, 512, 512, 3))
    yield Job("reconstructions", shards, [f"{folder}/joined.h5"])
    _remove(f"{folder}/joined.h5", *shards)
    for n_images in (20, 40):
        (samples,) = write_shards(folder, "images", n_images, (5, 512, 512, 3), 1)
        params = {"cfg": _settings(config, "evaluation.bootstrap", "evaluation.protocol", "seed")}
        columns = configured_metrics(config["evaluation"]["protocol"], [])
        params["metrics"] = [as_params(metric) for metric in columns]
        output = [f"{folder}/agreement.tsv"]
        yield Job("sample_agreement", [samples], output, params, share=f"{n_images} images")


def latents(folder: Path, config: dict) -> Iterator[Job]:
    """Features of images and captions; needs the mean responses."""
    for n_images in (2208, 4416):
        width = (VD_VISION[0] * VD_VISION[1],)
        shards = write_shards(folder, "latents", n_images, width)
        yield Job("latents", shards, [f"{folder}/joined.h5"], share=f"{n_images} images")
        _remove(f"{folder}/joined.h5", *shards)
    responses = {split: f"{folder}/{split}.h5" for split in ("train", "test")}
    captions = {
        split: write_latents(folder / f"captions-{split}.h5", ids_of(path), SD_TEXT)
        for split, path in responses.items()
    }
    clusters = _settings(config, "evaluation.categories", "evaluation.held_out", "seed")
    yield Job("categories", captions, [f"{folder}/categories.tsv"], {"cfg": clusters})
    yield Job(
        "holdout_training",
        {
            "captions": captions["train"],
            "latents": [captions["train"]],
            "train": responses["train"],
        },
        {
            "train": f"{folder}/holdout-train.h5",
            "latents": [f"{folder}/holdout-latents.h5"],
        },
        {"cfg": clusters},
    )
    _remove(*captions.values(), *folder.glob("holdout-*"))


def tables(folder: Path, config: dict) -> Iterator[Job]:
    """Means and intervals of all subjects and systems; needs the mean responses."""
    evaluation = config["evaluation"]
    columns = configured_metrics(evaluation["protocol"], evaluation["networks"])
    metrics = [as_params(metric) for metric in columns]
    systems = {name: name for name in config["systems"]}
    floors = {f"floor-{number}": "floor" for number in range(4 + len(systems))}
    ceilings = {name: name for name in config["oracles"]}
    scores = [
        write_scores(folder / subject / f"{name}.tsv", subject, name, metrics)
        for subject in SUBJECTS
        for name in (*systems, *floors, *ceilings)
    ]
    names = ("bootstrap", "protocol", "repeats", "held_out", "holdout")
    cfg = _settings(config, "seed", *(f"evaluation.{name}" for name in names))
    titles = {"metrics": metrics, "systems": systems, "floors": floors, "ceilings": ceilings}
    pairs = {"one": ("sd-ddpm", "sd-ddim"), "two": ("vd-ddpm", "vd-ddim")}
    pairs |= {"three": ("sd-ddpm", "vd-ddpm"), "four": ("sd-ddim", "vd-ddim")}
    outputs = ("long.tsv", "markdown.md", "latex.tex", "contrasts.tsv", "retrieval.tsv")
    outputs = {name.partition(".")[0]: f"{folder}/{name}" for name in (*outputs, "published.tsv")}
    inputs = {"scores": scores, "responses": [f"{folder}/test.h5"] * len(SUBJECTS)}
    params = {"cfg": cfg, "contrasts": pairs, "left_out": {}, "of_nsd": True}
    params |= {"subjects": SUBJECTS, **titles}
    yield Job("metrics", inputs, outputs, params, {})
    variants = [
        (n, folder / f"{subject}-repeats{n}/evaluation/{name}.tsv", subject, name)
        for n in (1, 2, 3)
        for subject in SUBJECTS
        for name in evaluation["repeats"]
    ]
    outputs = {"table": "repeats.tsv", "figure": "repeats.png", "caption": "repeats.txt"}
    outputs = {name: f"{folder}/{file}" for name, file in outputs.items()}
    inputs = {"scores": [write_scores(*variant, metrics) for _, *variant in variants]}
    values = [value for value, *_ in variants]
    varied = {"by": "n_repeats", "xlabel": "repeats averaged", "against": "repeats averaged"}
    params = {"cfg": cfg, "values": values, "varied": varied, "setting": None, **titles}
    yield Job("curve", inputs, outputs, params, {})
    full = [f"{folder}/{s}/{name}.tsv" for s in SUBJECTS for name in evaluation["holdout"]]
    inputs = {"full": full, "held_out": full, "categories": [write_categories(folder)] * len(full)}
    yield Job("holdout", inputs, [f"{folder}/holdout.tsv"], {"cfg": cfg}, {})


PARTS = (responses, brain, pictures, latents, tables)


def _remove(*paths: str | Path) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(_run(json.loads(sys.argv[2]))))
    else:
        main()
