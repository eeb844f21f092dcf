"""What a configuration asks for: subjects, systems, features, and their titles.

Imports nothing heavy: the workflow reads this module whenever it is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from nsdrecon.ablations import ABLATIONS
from nsdrecon.brain_diffuser import as_published
from nsdrecon.errors import InputError
from nsdrecon.metrics import as_params, configured_metrics
from nsdrecon.regions import Region, with_own
from nsdrecon.systems import (
    BEST,
    CHOOSER,
    ORACLE,
    PUBLISHED_TITLES,
    SCORING,
    STAGE1,
    Backbone,
    Feature,
    Registry,
)

FLOORS = {
    "mean-image": "mean training image",
    "flat-grey": "flat grey",
    "random-training-image": "random training image",
    "nearest-training-image": "training image with the nearest response",
}
"""Titles of the floors that need no decoder; each system has its own besides."""

ANALYSES = ("maps", "regions", "dimensions", "correlation", "pictures")
"""Analyses of the brain: keys of ``brain`` in the configuration that list subjects."""
WITH_REGIONS = ("regions", "correlation", "pictures")
"""Those that look at regions of interest."""
_VDVAE_ENCODER = "nsdrecon.vdvae.latents:vdvae_features"
_NETWORK_ENCODER = "nsdrecon.evaluation.networks:network_features"


@dataclass(frozen=True)
class Run:
    """A complete configuration, read with the registry of what there is to choose from.

    Parameters
    ----------
    config
        The configuration, checked against its schema and with its defaults.
    registry
        The feature spaces, backbones and systems.
    results
        Folder of the results, for those that are looked for in it.

    Raises
    ------
    InputError
        If the configuration lacks the folder of a model or the penalty of a feature space that the
        run uses, or a setting that a backbone takes.
    """

    config: Mapping[str, Any]
    registry: Registry
    results: str = "results"

    def __post_init__(self) -> None:
        self._check_holdout()
        used = [name for name in self.models if name not in self.config["models"]]
        if used:
            raise InputError(
                f"models.{used[0]}", found="nothing", expected="the folder of a model of this run"
            )
        for name in self.features:
            if name not in self.config["regression"]["alpha"]:
                raise InputError(
                    f"regression.alpha.{name}",
                    found="nothing",
                    expected="a ridge penalty, or loo, for a feature space of this run",
                )
        for row in filter(None, map(self.registry.backbone, [*self.systems, *self.oracles])):
            self._check_settings(row, "stage2")
        self._check_brain()
        for name in self.extracted:
            if name != STAGE1:
                self._check_settings(self.feature(name), "latents")

    def _check_holdout(self) -> None:
        evaluation = self.config["evaluation"]
        n_clusters, held_out = evaluation["categories"], evaluation["held_out"]
        if not evaluation["holdout"]:
            return
        if n_clusters is None:
            raise InputError(
                "evaluation.categories",
                found="nothing (null), with evaluation.holdout",
                expected="the number of clusters, of which evaluation.held_out are left out",
                remedy="Set it, or evaluation.holdout: [].",
            )
        if max(held_out) >= n_clusters:
            raise InputError(
                "evaluation.held_out",
                found=max(held_out),
                expected=f"clusters from 0 to {n_clusters - 1}, by evaluation.categories",
            )

    def _check_brain(self) -> None:
        if "pictures" in self.brain and not self.pictured:
            raise InputError(
                "brain.systems",
                found=", ".join(self.config["brain"]["systems"]),
                expected=f"some of the systems of this run: {', '.join(self.systems)}",
            )
        if self.best and not self.several:
            raise InputError(
                "brain.best_of",
                found="stage2.samples: 1",
                expected="several samples of an image to choose from",
            )
        for subject in self.subjects:
            self.surfaces(subject)
        known = [*self.registry.pictured, *self._scoring]
        if (encoding := self.config["brain"]["encoding"]) not in known:
            raise InputError(
                "brain.encoding", found=encoding, expected=f"one of {', '.join(known)}"
            )

    def _check_settings(self, row: Backbone | Feature, section: str) -> None:
        for name in row.settings:
            if name not in self.config[section]:
                raise InputError(
                    f"settings of {row.name}",
                    found=name,
                    expected=f"keys of {section}: {', '.join(self.config[section])}",
                )

    @cached_property
    def subjects(self) -> list[str]:
        """The subjects, as ``subj01``."""
        return [f"subj{number:02d}" for number in self.config["subjects"]]

    @cached_property
    def tests(self) -> list[str]:
        """Further test sets, which are decoded and scored apart from the first."""
        return list(self.config["dataset"]["tests"])

    @cached_property
    def systems(self) -> list[str]:
        """The systems; the others start from the first stage's images, so that is always there."""
        return _distinct([STAGE1, *self.config["systems"]])

    @cached_property
    def oracles(self) -> list[str]:
        """Ceilings: the same models given something true of the test images."""
        asked = self.config["oracles"]
        return _distinct([ORACLE + STAGE1, *asked]) if asked else []

    @cached_property
    def repeats(self) -> list[str]:
        """Systems of this run that are scored against the number of repeats averaged."""
        return [name for name in self.config["evaluation"]["repeats"] if name in self.systems]

    @cached_property
    def holdout(self) -> list[str]:
        """Systems of this run that are trained again without some clusters of captions."""
        return [name for name in self.config["evaluation"]["holdout"] if name in self.systems]

    @cached_property
    def learning(self) -> list[str]:
        """Systems of this run that are trained again on fewer sessions."""
        return [name for name in self.config["evaluation"]["learning"] if name in self.systems]

    @cached_property
    def ablated(self) -> list[str]:
        """Systems of this run that are scored with other values of some settings."""
        return [name for name in self.config["ablations"]["systems"] if name in self.systems]

    @cached_property
    def ablations(self) -> dict[str, list[Any]]:
        """The settings that are tried, by their keys in ``ablations``, to their values."""
        asked = {name: self.config["ablations"][name] for name in ABLATIONS}
        return {name: values for name, values in asked.items() if values and self.ablated}

    @cached_property
    def brain(self) -> dict[str, list[str]]:
        """Each analysis of the brain that is asked for, to its subjects among those of this run."""
        asked = {name: self.config["brain"][name] for name in ANALYSES}
        subjects = {
            name: [f"subj{number:02d}" for number in self.config["subjects"] if number in wanted]
            for name, wanted in asked.items()
        }
        return {name: found for name, found in subjects.items() if found}

    @cached_property
    def hemispheres(self) -> list[str]:
        """Hemispheres of which the user has a surface for the maps."""
        return [name for name, path in self.config["brain"]["surfaces"].items() if path]

    def surfaces(self, subject: str) -> dict[str, str]:
        """Hemisphere to the file of a subject's coordinates of its vertices."""
        files, number = self.config["brain"]["surfaces"], int(subject.removeprefix("subj"))
        try:
            return {name: files[name].format(subject=number) for name in self.hemispheres}
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                "brain.surfaces",
                found=f"{dict(files)} ({type(error).__name__}: {error})",
                expected="paths with the field {subject}, or formatted as {subject:02d}",
            ) from None

    @cached_property
    def pictured(self) -> list[str]:
        """Systems of this run that draw what single regions stand for."""
        return [name for name in self.config["brain"]["systems"] if name in self.systems]

    @cached_property
    def regions(self) -> list[Region]:
        """The regions of interest of analyses of the brain."""
        return with_own(self.config["brain"]["rois"])

    @cached_property
    def several(self) -> list[str]:
        """Systems that draw several samples of an image."""
        return self.systems[1:] if self.config["stage2"]["samples"] > 1 else []

    @cached_property
    def best(self) -> dict[str, str]:
        """What the best of several samples is called, by the measured response, and its system."""
        return {
            name + BEST: name
            for name in self.config["brain"]["best_of"]
            if name in self.systems[1:]
        }

    @cached_property
    def unscored(self) -> dict[str, list[str]]:
        """Best samples, to the networks that do not score them: their features chose them."""
        own = self.feature(self.encoding).scores if self.encoding != STAGE1 else None
        networks = [
            network["name"]
            for network in self.networks
            if own and network["source"].startswith(own)
        ]
        return dict.fromkeys(self.best, networks) if networks else {}

    @cached_property
    def encoding(self) -> str:
        """The features of pictures that responses are predicted from; a network's have one name."""
        name = self.config["brain"]["encoding"]
        return SCORING if name in self._scoring else name

    @cached_property
    def encoding_network(self) -> dict[str, Any]:
        """The network that scores from whose features responses are predicted."""
        return self._scoring[self.config["brain"]["encoding"]]

    @property
    def _scoring(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.networks}

    def feature(self, name: str) -> Feature:
        """The row of a feature space, among them the features of a network that scores."""
        if name != SCORING:
            return self.registry.features[name]
        scores = self.encoding_network["source"]
        return Feature(SCORING, SCORING, _NETWORK_ENCODER, kind="vision", scores=scores)

    def encoder_settings(self, name: str) -> dict[str, Any]:
        """What the encoder of a feature space takes besides what all take."""
        if name == SCORING:
            protocol = self.config["evaluation"]["protocol"]
            return {"network": self.encoding_network, "protocol_name": protocol}
        return {key: self.config["latents"][key] for key in self.feature(name).settings}

    @cached_property
    def encoder(self) -> tuple[str, str, dict[str, Any]]:
        """Place of the encoder of these features, its model, and its settings."""
        latents = self.config["latents"]
        if self.encoding != STAGE1:
            row = self.feature(self.encoding)
            return row.encoder, row.model, self.encoder_settings(self.encoding)
        names = ("vdvae_layers", "vdvae_precision", "vdvae_values")
        architecture = dict(self.config["models"][STAGE1])
        del architecture["checkpoint"]
        own = {"architecture": architecture, "seed": self.config["seed"]}
        return _VDVAE_ENCODER, STAGE1, {name: latents[name] for name in names} | own

    @cached_property
    def features(self) -> list[str]:
        """The feature spaces that are predicted from the brain."""
        return [*self._decoded([*self.systems, *self._oracles(given=False)]), *self._chooser]

    @cached_property
    def _chooser(self) -> list[str]:
        decoded = self._decoded([*self.systems, *self._oracles(given=False)])
        return [CHOOSER] if self.several and CHOOSER not in decoded else []

    @cached_property
    def oracle_features(self) -> list[str]:
        """The feature spaces of which oracles are given the true latents."""
        return self._decoded(self._oracles(given=True)) if self.oracles else []

    def _oracles(self, *, given: bool) -> list[str]:
        """The oracles that are given true features, or those that are guided by predicted ones."""
        return [name for name in self.oracles if self.registry.oracles[name].features == given]

    @cached_property
    def holdout_features(self) -> list[str]:
        """The feature spaces that are predicted without some clusters of captions."""
        return self._decoded(self.holdout)

    @cached_property
    def learning_features(self) -> list[str]:
        """The feature spaces that are predicted after fewer sessions."""
        return self._decoded(self.learning)

    def _decoded(self, systems: Iterable[str]) -> list[str]:
        guides = (self.registry.guidance(system).values() for system in systems)
        return _distinct([STAGE1, *chain.from_iterable(guides)])

    @cached_property
    def captions(self) -> str:
        """The text features whose clusters are categories of images."""
        texts = [row.name for row in self.registry.features.values() if row.kind == "text"]
        return next((name for name in self.features if name in texts), texts[0])

    @cached_property
    def extracted(self) -> list[str]:
        """The feature spaces that are extracted, be it for systems or for what is told of them."""
        evaluation = self.config["evaluation"]
        grouped = evaluation["categories"] is not None or self.holdout
        categories = [self.captions] if grouped else []
        encoding = [self.encoding] if "correlation" in self.brain or self.best else []
        return _distinct([*self.features, *self.oracle_features, *categories, *encoding])

    @cached_property
    def needs_captions(self) -> bool:
        """Whether this run looks at captions at all."""
        return any(self.feature(name).kind == "text" for name in self.extracted if name != STAGE1)

    @cached_property
    def models(self) -> list[str]:
        """The models that this run needs, besides the networks that score."""
        others = (STAGE1, SCORING)
        encoders = [self.feature(name) for name in self.extracted if name not in others]
        backbones = map(self.registry.backbone, [*self.systems, *self.oracles])
        return _distinct([STAGE1, *(row.model for row in (*encoders, *backbones) if row)])

    @cached_property
    def titles(self) -> dict[str, str]:
        """Titles of the systems, and of the best of their samples."""
        samples = self.config["stage2"]["samples"]
        best = {
            name: f"{self._title(system)}, best of {samples} by the measured response"
            for name, system in self.best.items()
        }
        return {**self.system_titles, **best}

    @cached_property
    def system_titles(self) -> dict[str, str]:
        """Titles of the systems alone."""
        return {name: self._title(name) for name in self.systems}

    @cached_property
    def oracle_titles(self) -> dict[str, str]:
        """Titles of the oracles."""
        given = self.registry.oracles
        return {name: f"{self._title(name)}, oracle: {given[name].given}" for name in self.oracles}

    @cached_property
    def floor_titles(self) -> dict[str, str]:
        """Titles of the floors: those of all systems together, then each system's own."""
        return {**FLOORS, **shuffled(self.titles)}

    def _title(self, name: str) -> str:
        system = self.registry.system(name)
        title = system.title
        if as_published(self.config):
            title = PUBLISHED_TITLES.get(system.name, title)
        # The result of one image then depends on the others: said wherever a system is named.
        by_test_set = self.config["regression"]["rescale"] == "test"
        return f"{title}, rescaled by the test set" if by_test_set else title

    @cached_property
    def contrasts(self) -> dict[str, tuple[str, str]]:
        """Pairs of systems that differ in their sampler or in their backbone alone, by title."""
        return self.registry.contrasts(self.systems)

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """What scores, in the order of the columns, as plain values."""
        evaluation = self.config["evaluation"]
        metrics = configured_metrics(
            evaluation["protocol"], evaluation["networks"], self.config["extensions"]
        )
        return [as_params(metric) for metric in metrics]

    @cached_property
    def networks(self) -> list[dict[str, Any]]:
        """The networks among what scores: those that have weights."""
        return [row for row in self.metrics if "weights" in row]

    @cached_property
    def pixel_metrics(self) -> list[dict[str, Any]]:
        """The functions of two pictures among what scores."""
        return [row for row in self.metrics if "weights" not in row]

    @cached_property
    def shards(self) -> list[str]:
        """Names of the parts into which a stage is cut that keeps a GPU busy."""
        count = self.config["shards"]
        return [f"{number + 1}-of-{count}" for number in range(count)]


def shuffled(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles of the own floors of some systems, by name."""
    return {f"shuffled-{name}": f"{title}, shuffled brain" for name, title in titles.items()}


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
