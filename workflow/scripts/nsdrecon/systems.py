"""What the workflow can reconstruct with: feature spaces, backbones, and the systems made of them.

The one table of their names. It imports nothing heavy, since it is read whenever the workflow is
parsed: encoders and models are named as ``module:Name`` and imported in the jobs that use them.
Rules, the configuration's schema, titles and contrasts derive from it. A user's Python file adds
rows to it with lists of the names ``FEATURES`` and ``BACKBONES`` (see :mod:`nsdrecon.extensions`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

from nsdrecon.errors import InputError
from nsdrecon.extensions import check_title, implementation, rows

STAGE1 = "vdvae"
"""Name of the first stage: its system, its feature space and its model."""
SCORING = "networks"
"""The networks that score, as one model among those that are checked."""
ORACLE = "oracle-"
"""Before a system's name: the system given something true of the test images."""
SEEN = "seen"
"""What an oracle starts from that is given the seen image itself."""
BEST = "-best"
"""After a system's name: of its samples the one whose predicted response fits the measured one."""
SAMPLERS = ("ddpm", "ddim")
KINDS = ("text", "vision")
SD_TEXT, VD_TEXT, VD_VISION = "sd-text", "vd-text", "vd-vision"
CHOOSER = VD_VISION
"""The feature space in which the best of several samples is chosen, whatever the backbone."""

# What the workflow calls of a backbone's class.
METHODS = ("describe", "load", "condition", "predict", "encode", "decode", "full_precision")
# Other files lie where those of a feature space or the check of a model would.
RESERVED = {"features": {STAGE1, SCORING, "gram"}, "models": {STAGE1, SCORING}}
_NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class Feature:
    """A space of image features that is predicted from the brain.

    Parameters
    ----------
    name
        For instance ``sd-text``.
    model
        Section of ``models`` in the configuration that names the encoder's folder.
    encoder
        Place of the function ``encoder(nsd_id, seen, folder, *, batch_size, device)``, which gives
        float32 features (n, tokens, width) of n images.
    kind
        What the encoder sees: ``text``, for each image the list of its captions; ``vision``, the
        images (n, height, width, 3), uint8, read where they are indexed
        (:class:`nsdrecon.store.StoredRows`).
    settings
        Keys of ``latents`` in the configuration that the encoder takes besides, with defaults.
    scores
        Beginning of the places of networks that score by such features: they do not score what was
        chosen by them.
    """

    name: str
    model: str
    encoder: str
    kind: str
    settings: tuple[str, ...] = ()
    scores: str | None = None


@dataclass(frozen=True)
class Backbone:
    """A latent diffusion model; with each sampler it is a system, for instance ``sd-ddim``.

    Parameters
    ----------
    name
        First part of the systems' names.
    model
        Section of ``models`` in the configuration that names its folder.
    title
        For tables and figures.
    loader
        Place of its class, as a rule derived from :class:`nsdrecon.diffusion.backbone.Backbone`.
    features
        Each kind of features that the model takes to the name of a feature space.
    settings
        Keys of ``stage2`` in the configuration that its ``load`` takes.
    """

    name: str
    model: str
    title: str
    loader: str
    features: Mapping[str, str]
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """A way to reconstruct: the first stage alone, or a backbone with a sampler that follows it."""

    name: str
    title: str
    backbone: str | None = None
    sampler: str | None = None


@dataclass(frozen=True)
class Oracle:
    """A system that is given some of what it would have to tell from the brain.

    Parameters
    ----------
    system
        Its name.
    given
        For tables and figures.
    start
        What it starts from: the images of the first stage, those of its oracle, or the seen ones.
    features
        Whether it is given the true features that guide it, or the first stage its true latents.
    """

    system: str
    given: str
    start: str
    features: bool


# The ladder of oracles: what comes after the system's name, what is given, start and features.
_RUNGS: tuple[tuple[str, str, str, bool], ...] = (
    ("", "true latents", ORACLE + STAGE1, True),
    ("-start", "true latents of stage 1, predicted features", ORACLE + STAGE1, False),
    ("-features", "predicted stage 1, true features", STAGE1, True),
    ("-seen", "started from the seen image, predicted features", SEEN, False),
)
FEATURES = (
    Feature(
        SD_TEXT,
        model="stable_diffusion",
        encoder="nsdrecon.clip_features:sd_text_features",
        kind="text",
    ),
    Feature(
        VD_TEXT,
        model="versatile_diffusion",
        encoder="nsdrecon.clip_features:vd_text_features",
        kind="text",
    ),
    Feature(
        VD_VISION,
        model="versatile_diffusion",
        encoder="nsdrecon.clip_features:vd_vision_features",
        kind="vision",
        settings=("vision_resize",),
        scores="nsdrecon.evaluation.networks:clip",
    ),
)
BACKBONES = (
    Backbone(
        "sd",
        model="stable_diffusion",
        title="Stable Diffusion",
        loader="nsdrecon.diffusion.stable_diffusion:StableDiffusion",
        features={"text": SD_TEXT},
    ),
    Backbone(
        "vd",
        model="versatile_diffusion",
        title="Versatile Diffusion",
        loader="nsdrecon.diffusion.versatile_diffusion:VersatileDiffusion",
        features={"text": VD_TEXT, "vision": VD_VISION},
        settings=("text_weight",),
    ),
)
PUBLISHED_TITLES: Mapping[str, str] = {
    STAGE1: "Brain-Diffuser's VDVAE, run as published",
    "vd-ddim": "Brain-Diffuser, run as published",
}
"""Titles of the systems of a run with the published settings (`nsdrecon.brain_diffuser`)."""


@dataclass(frozen=True)
class Registry:
    """The rows that a run can use, by name and in the order of the tables."""

    features: dict[str, Feature]
    backbones: dict[str, Backbone]

    @cached_property
    def systems(self) -> dict[str, System]:
        """The first stage, then every backbone with every sampler."""
        diffusion = (
            System(
                f"{backbone.name}-{sampler}",
                f"{backbone.title}, {sampler.upper()}",
                backbone.name,
                sampler,
            )
            for backbone in self.backbones.values()
            for sampler in SAMPLERS
        )
        return {system.name: system for system in (System(STAGE1, "VDVAE (stage 1)"), *diffusion)}

    @cached_property
    def models(self) -> list[str]:
        """The models that encode features or reconstruct, besides the first stage's."""
        users: list[Feature | Backbone] = [*self.features.values(), *self.backbones.values()]
        return list(dict.fromkeys(user.model for user in users))

    @cached_property
    def oracles(self) -> dict[str, Oracle]:
        """The oracles of every system; the first stage has but one, which is given all."""
        return {
            f"{ORACLE}{system.name}{rung}": Oracle(system.name, given, start, features)
            for system in self.systems.values()
            for rung, given, start, features in (_RUNGS if system.backbone else _RUNGS[:1])
        }

    @cached_property
    def pictured(self) -> list[str]:
        """The feature spaces that pictures have, whatever their captions."""
        vision = [row.name for row in self.features.values() if row.kind == "vision"]
        return [STAGE1, *vision]

    def system(self, name: str) -> System:
        """A system by its name or by that of its oracle."""
        oracle = self.oracles.get(name)
        return self.systems[oracle.system if oracle else name]

    def backbone(self, system: str) -> Backbone | None:
        """The backbone of a system or of an oracle; None for the first stage."""
        name = self.system(system).backbone
        return self.backbones[name] if name else None

    def guidance(self, system: str) -> dict[str, str]:
        """What guides a system or an oracle: kinds of features to the spaces that are decoded."""
        backbone = self.backbone(system)
        return dict(backbone.features) if backbone else {}

    def contrasts(self, systems: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Pairs of these systems that differ in one thing, by title.

        Samplers with one backbone come first, then backbones with one sampler.
        """
        first, second = SAMPLERS
        pairs = {
            f"{first.upper()} - {second.upper()} ({backbone.title})": (
                f"{backbone.name}-{first}",
                f"{backbone.name}-{second}",
            )
            for backbone in self.backbones.values()
        }
        for sampler in SAMPLERS:
            for one, other in combinations(self.backbones.values(), 2):
                title = f"{_paired(one.title, other.title)} ({sampler.upper()})"
                pairs[title] = (f"{one.name}-{sampler}", f"{other.name}-{sampler}")
        available = set(systems)
        return {title: pair for title, pair in pairs.items() if available.issuperset(pair)}

    def checked_by(self, model: str) -> tuple[str, str | None]:
        """How a model is loaded to check it: its kind, and the place of its class or encoder.

        The kind is the model's own name for the first stage and the networks that score, otherwise
        ``backbone``, ``text`` or ``vision``. Of several rows with one model it is always the first
        that checks it, so that another row checks nothing again.
        """
        ways: dict[str, tuple[str, str | None]] = {
            SCORING: (SCORING, None),
            STAGE1: (STAGE1, None),
        }
        for backbone in self.backbones.values():
            ways.setdefault(backbone.model, ("backbone", backbone.loader))
        for feature in self.features.values():
            ways.setdefault(feature.model, (feature.kind, feature.encoder))
        return ways[model]


def registry(extensions: Sequence[str | Path] = ()) -> Registry:
    """The rows of this module, and those that a user's files add to them.

    Raises
    ------
    InputError
        If a file does not run, or a row of it has a name that exists, or names a feature that does
        not.
    """
    features = {row.name: row for row in FEATURES}
    backbones = {row.name: row for row in BACKBONES}
    for path in extensions:
        for feature in rows(path, "FEATURES", Feature):
            _check_name(feature, features, path, RESERVED["features"])
            _check_feature(feature, path)
            features[feature.name] = feature
    for path in extensions:
        for backbone in rows(path, "BACKBONES", Backbone):
            _check_name(backbone, backbones, path, {ORACLE.rstrip("-")})
            _check_backbone(backbone, features, path)
            backbones[backbone.name] = backbone
    return Registry(features, backbones)


def check_implementations(registry: Registry) -> None:
    """Look at what a user's rows stand for. Imports it, so once a run, not in every job.

    Raises
    ------
    InputError
        If a file does not run, or a function, a class or a method of it is missing.
    """
    for feature in registry.features.values():
        if feature not in FEATURES and not callable(implementation(feature.encoder)):
            raise InputError(feature.encoder, found="no function", expected="a function")
    for backbone in registry.backbones.values():
        if backbone not in BACKBONES:
            _check_methods(backbone)


def _check_methods(row: Backbone) -> None:
    kind = implementation(row.loader)
    abstract = getattr(kind, "__abstractmethods__", ())
    missing = [
        name for name in METHODS if name in abstract or not callable(getattr(kind, name, None))
    ]
    if missing:
        raise InputError(
            row.loader,
            found=f"no method {', '.join(missing)}",
            expected=f"a class with the methods {', '.join(METHODS)}",
        )


def _check_name(
    row: Feature | Backbone, known: Iterable[str], path: str | Path, reserved: set[str]
) -> None:
    taken = {*known, *reserved}
    if row.name in taken:
        raise InputError(
            f"{path}: {row.name}",
            found="a name that exists already",
            expected=f"another name than {', '.join(sorted(taken))}",
        )
    for text in (row.name, row.model):
        if not _NAME.fullmatch(text):
            raise InputError(
                f"{path}: {row.name}",
                found=f"the name {text!r}",
                expected="small letters and digits, with - or _ between them",
            )
    if row.model in RESERVED["models"]:
        raise InputError(
            f"{path}: {row.name}", found=f"model {row.model}", expected="a model of its own"
        )


def _check_feature(row: Feature, path: str | Path) -> None:
    if row.kind not in KINDS:
        raise InputError(
            f"{path}: {row.name}", found=f"kind {row.kind!r}", expected=" or ".join(KINDS)
        )


def _check_backbone(row: Backbone, features: Iterable[str], path: str | Path) -> None:
    check_title(row.title, f"{path}: {row.name}")
    unknown = [name for name in row.features.values() if name not in features]
    if unknown or not row.features:
        raise InputError(
            f"{path}: {row.name}",
            found=f"features {', '.join(unknown)}" if unknown else "no features",
            expected=f"some of {', '.join(features)}",
        )


def _paired(one: str, other: str) -> str:
    """Both titles, with the words in which they end alike said once."""
    left, right = one.split(), other.split()
    while len(left) > 1 and len(right) > 1 and left[-1] == right[-1]:
        left.pop()
        right.pop()
    return f"{' '.join(left)} - {other}"
