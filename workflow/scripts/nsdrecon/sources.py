"""What a run needs from outside: files of the data set and models, and the records of downloads.

Imports nothing heavy: the workflow reads this module whenever it is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from nsdrecon import layout, provenance
from nsdrecon.errors import InputError, listing
from nsdrecon.regions import volumes
from nsdrecon.run import WITH_REGIONS, Run
from nsdrecon.systems import SCORING, STAGE1
from nsdrecon.transfer.catalogue import FILES
from nsdrecon.transfer.guards import require_https

COCO_CAPTIONS = "resources/captions/coco.npy"
COCO_ANNOTATIONS = f"resources/models/coco-annotations/{FILES['coco-annotations'].name}"
SIMULATED = "resources/simulated/"
DOWNLOADED = "resources/models/"
"""Models below this folder are downloaded; any other is the user's own."""

_WEIGHTS = {".th", ".pt", ".pth", ".tar", ".safetensors"}


class DataFiles:
    """Files of the data set: where they lie, and what of them a run downloads.

    Parameters
    ----------
    run
        The run.

    Raises
    ------
    InputError
        If settings of section ``nsd`` contradict each other, or a server is asked for by plain HTTP
        that is not one's own.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.settings: Mapping[str, Any] = run.config["nsd"]
        source = self.settings["source"]
        self.simulated = source == "simulated"
        self.local = source == "local"
        self.downloads = source == "s3"
        self.images_by_ranges = self.downloads and self.settings["stimuli"] == "ranges"
        self.voxels_by_ranges = self.downloads and self.settings["volumes"] == "ranges"
        if self.voxels_by_ranges and (self.settings["format"] != "hdf5" or self.keeps_volumes):
            raise InputError(
                "nsd.volumes",
                found="ranges, with nsd.format: {format} and nsd.keep_raw: {keep_raw}".format(
                    **self.settings
                ),
                expected="hdf5, in which a voxel can be found, and no volumes to keep",
                remedy="Set nsd.format: hdf5 and nsd.keep_raw: false, or nsd.volumes: whole.",
            )
        if self.settings["s3"]["endpoint"] is not None:
            require_https(self.settings["s3"]["endpoint"], own_server=True)

    @property
    def source(self) -> str:
        """Where the data come from, as every file says that is made of them."""
        if self.simulated:
            return provenance.SIMULATED
        if self.local:
            return f"local {self.settings['root']}"
        return f"s3://{self.settings['s3']['bucket']}"

    @property
    def keeps_volumes(self) -> bool:
        """Whether volumes of sessions stay after their voxels have been cut out."""
        return self.settings["keep_raw"]

    @property
    def root(self) -> str:
        """Folder that mirrors the bucket; a simulation never writes where another source reads."""
        name = self.run.config["run"]["name"]
        return f"{SIMULATED}{name}" if self.simulated else self.settings["root"]

    def path(self, key: str) -> str:
        """Path of a file by its key in the bucket."""
        return f"{self.root}/{key}"

    @property
    def design(self) -> str:
        """What was shown when."""
        return self.path(layout.DESIGN)

    @property
    def stimulus_table(self) -> str:
        """The table of all stimuli."""
        return self.path(layout.STIMULUS_TABLE)

    @property
    def stimuli(self) -> str:
        """The file of all stimuli."""
        return self.path(layout.STIMULI)

    def betas_key(self, subject: str, session: int | str) -> str:
        """Key in the bucket of one session's betas."""
        version, space, kind = (self.settings[name] for name in ("betas", "space", "format"))
        return layout.betas_key(subject, session, version, space, kind)

    def betas(self, subject: str, session: int | str) -> str:
        """The volume of one session's betas."""
        return self.path(self.betas_key(subject, session))

    def roi(self, subject: str, volume: str) -> str:
        """A volume of labels, by its name in NSD's folder of ROIs."""
        return self.path(layout.roi_key(subject, volume, self.settings["space"]))

    def mask(self, subject: str) -> str:
        """The volume whose voxels above 0 are used."""
        return self.roi(subject, self.settings["mask"])

    def ncsnr(self, subject: str) -> str:
        """NSD's map of the noise ceiling's signal-to-noise ratio."""
        return self.path(layout.ncsnr_key(subject, self.settings["betas"], self.settings["space"]))

    def region_volumes(self, subject: str) -> dict[str, str]:
        """Name to file of the volumes that the regions of interest are in."""
        return {name: self.roi(subject, name) for name in volumes(self.run.regions)}

    @property
    def captions(self) -> str:
        """The array of captions; a simulation writes its own."""
        return self.path("captions.npy") if self.simulated else self.settings["captions"]

    @property
    def simulated_features(self) -> str:
        """What a simulation's responses are made from."""
        return self.path("features.h5")

    @property
    def test_images(self) -> str:
        """The shared images, cut out of the file of all stimuli."""
        return f"{self.run.results}/stimuli/test.h5"

    def train_images(self, subject: str) -> str:
        """The other images that a subject saw."""
        return f"{self.run.results}/{subject}/stimuli/train.h5"

    @property
    def needs_annotations(self) -> bool:
        """Whether captions are made from COCO's annotations."""
        return self.run.needs_captions and self.captions == COCO_CAPTIONS

    @property
    def own_captions(self) -> list[str]:
        """The array of captions, if the user brought it."""
        made = self.captions == COCO_CAPTIONS or self.simulated
        return [] if made or not self.run.needs_captions else [self.captions]

    def brought(self) -> dict[str, tuple[list[str], list[str], None]]:
        """What the user brought, in the form of :meth:`ModelFiles.brought`."""
        return {"captions": (self.own_captions, [], None)} if self.own_captions else {}

    def voxels(self, subject: str) -> list[str]:
        """The files of voxels of a subject's sessions."""
        folder = f"{self.run.results}/{subject}/betas/sessions"
        return [f"{folder}/{session:02d}.h5" for session in self.run.sessions[subject]]

    def volumes(self, subject: str) -> list[str]:
        """The volumes of a subject's sessions."""
        return [self.betas(subject, session) for session in self.run.sessions[subject]]

    def of_sessions(self, subject: str) -> list[str]:
        """What comes from outside of a subject's sessions: volumes, or their voxels."""
        return self.voxels(subject) if self.voxels_by_ranges else self.volumes(subject)

    def needed(self) -> dict[str, list[str]]:
        """What a run reads of the data set, by whose it is."""
        table = [self.stimulus_table] if self.run.needs_captions else []
        shared = [self.design, *table, self.test_images if self.images_by_ranges else self.stimuli]
        return {"all subjects": shared, **{s: self._of(s) for s in self.run.subjects}}

    def _of(self, subject: str) -> list[str]:
        images = [self.train_images(subject)] if self.images_by_ranges else []
        brain = self.run.brain
        analysed = {s for name in WITH_REGIONS for s in brain.get(name, [])}
        regions = self.region_volumes(subject).values() if subject in analysed else []
        maps = [self.mask(subject), self.ncsnr(subject), *regions]
        return [*dict.fromkeys(maps), *images, *self.of_sessions(subject)]

    @property
    def temporary(self) -> list[str]:
        """Downloads that are removed once they are used."""
        if self.keeps_volumes or self.voxels_by_ranges:
            return []
        return list(chain.from_iterable(map(self.volumes, self.run.subjects)))

    def downloads_in_detail(self) -> dict[str, Any]:
        """What a run downloads of the data set, as :mod:`nsdrecon.doctor.amounts` counts it.

        ``files`` by whose they are; for files that are filled by ranges the ``keys`` of the remote
        objects; for images the subject and sessions (None: the shared ones); for ``ranges`` of
        voxels the mask; for each volume that is removed after use the file of ``voxels`` that
        stays, with its bytes where they are known.
        """
        subjects = self.run.subjects
        images: dict[str, tuple[str | None, list[int] | None]] = {}
        masks: dict[str, str] = {}
        keys: dict[str, str] = {}
        if self.images_by_ranges:
            images = {self.test_images: (None, None)}
            images |= {self.train_images(s): (s, self.run.sessions[s]) for s in subjects}
            keys = dict.fromkeys(images, layout.STIMULI)
        if self.voxels_by_ranges:
            for subject in subjects:
                pairs = zip(self.voxels(subject), self.run.sessions[subject], strict=True)
                keys |= {path: self.betas_key(subject, session) for path, session in pairs}
                masks |= dict.fromkeys(self.voxels(subject), self.mask(subject))
        return {
            "root": self.root,
            "files": self.needed() if self.downloads else {},
            "keys": keys,
            "images": images,
            "ranges": masks,
            "voxels": self._kept_voxels() if self.downloads else {},
        }

    def _kept_voxels(self) -> dict[str, tuple[str, int]]:
        if not self.temporary:
            return {}
        known = (self.settings["mask"], self.settings["space"]) == ("nsdgeneral", "func1pt8mm")
        found = {}
        for subject in self.run.subjects:
            n_voxels = layout.VOXELS[layout.subject_number(subject)] if known else 0
            for volume, voxels in zip(self.volumes(subject), self.voxels(subject), strict=True):
                found[volume] = voxels, n_voxels * layout.VOXEL_BYTES
        return found


@dataclass(frozen=True)
class ModelFiles:
    """Files of the models that a run needs; all networks that score are one model.

    Parameters
    ----------
    run
        The run.

    Raises
    ------
    InputError
        If a mirror is named for a file that is not in the catalogue.
    """

    run: Run

    def __post_init__(self) -> None:
        unknown = set(self.run.config["downloads"]["mirrors"]) - set(FILES)
        if unknown:
            raise InputError(
                "downloads.mirrors",
                found=listing(sorted(unknown)),
                expected=f"some of {listing(FILES, 20)}",
            )

    @property
    def names(self) -> list[str]:
        """The models, by name."""
        return [*self.run.models, *([SCORING] if self.run.networks else [])]

    def settings(self, model: str) -> dict[str, Any]:
        """What a model is loaded with, for the check of it."""
        if model == SCORING:
            protocol = self.run.config["evaluation"]["protocol"]
            return {"protocol": protocol, "networks": self.run.networks}
        return self.run.config["models"][model]

    def sources(self, model: str) -> tuple[list[str], list[str]]:
        """Files and folders of a model."""
        if model == STAGE1:
            return [self.run.config["models"][STAGE1]["checkpoint"]], []
        if model != SCORING:
            return [], [self.run.config["models"][model]["folder"]]
        weights = list(dict.fromkeys(network["weights"] for network in self.run.networks))
        files = [path for path in weights if Path(path).suffix in _WEIGHTS]
        return files, [path for path in weights if path not in files]

    def files(self, model: str) -> list[str]:
        """The files of a model that a rule depends on."""
        files, folders = self.sources(model)
        return [*files, *chain.from_iterable(map(folder_files, folders))]

    def own_files(self, model: str) -> list[str]:
        """The files of a model that the user brought."""
        files, folders = self.sources(model)
        return [*_own(files), *chain.from_iterable(map(folder_files, _own(folders)))]

    def brought(self) -> dict[str, tuple[list[str], list[str], str | None]]:
        """By model: files and folders of the user's own, and the place of a backbone's class."""
        found = {}
        for model in self.names:
            kind, place = self.run.registry.checked_by(model)
            if own := self.own_files(model):
                loader = place if kind == "backbone" else None
                found[model] = own, _own(self.sources(model)[1]), loader
        return found

    def downloads(self) -> tuple[list[str], list[str]]:
        """Files and folders of models that are downloaded, each once."""
        files, folders = zip(*map(self.sources, self.names), strict=True)
        return _downloaded(chain.from_iterable(files)), _downloaded(chain.from_iterable(folders))


def planned_models(models: ModelFiles, data: DataFiles) -> dict[str, str]:
    """For each download of a model or of captions, the file that is there when it is."""
    files, folders = models.downloads()
    annotations = [COCO_ANNOTATIONS] if data.needs_annotations else []
    single = {path: path for path in [*files, *annotations]}
    return single | {folder: _record(folder) for folder in folders}


def records(models: ModelFiles, data: DataFiles) -> list[str]:
    """The records of everything that a run downloads."""
    files, folders = models.downloads()
    annotations = [COCO_ANNOTATIONS] if data.needs_annotations else []
    of_data = chain.from_iterable(data.needed().values()) if data.downloads else []
    single = [f"{path}.record.tsv" for path in [*files, *annotations, *of_data]]
    return [*single, *map(_record, folders)]


def folder_files(folder: str) -> list[str]:
    """The files of a model's folder that a rule depends on.

    A folder that the workflow downloads is stood for by the record of its download: its files are
    not there yet when the jobs are planned for the first time.
    """
    if is_downloaded(folder):
        return [_record(folder)]
    kinds = {".json", ".safetensors", ".txt"}
    found = [path for path in Path(folder).rglob("*") if path.suffix in kinds]
    # Models prefer safetensors, and read these where there are none.
    safe = {path.parent for path in found if path.suffix == ".safetensors"}
    found += [path for path in Path(folder).rglob("*.bin") if path.parent not in safe]
    return sorted(map(str, found)) or [f"{folder}/config.json"]


def is_downloaded(path: str) -> bool:
    """Whether a model's file or folder comes from the internet."""
    return path.startswith(DOWNLOADED)


def _record(folder: str) -> str:
    return f"{folder}/downloaded.tsv"


def _own(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not is_downloaded(path)]


def _downloaded(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(is_downloaded, paths)))
