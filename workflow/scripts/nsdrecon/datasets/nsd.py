"""The Natural Scenes Dataset: downloaded, a copy that is there, or simulated in its formats."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import chain
from typing import Any

from nsdrecon import layout, provenance
from nsdrecon.datasets.files import DataFiles
from nsdrecon.errors import InputError, listing
from nsdrecon.regions import Region, volumes
from nsdrecon.run import WITH_REGIONS, Run
from nsdrecon.transfer.catalogue import FILES
from nsdrecon.transfer.guards import require_https

COCO_CAPTIONS = "resources/captions/coco.npy"
COCO_ANNOTATIONS = f"resources/models/coco-annotations/{FILES['coco-annotations'].name}"
SIMULATED = "simulated"


class NSDFiles(DataFiles):
    """Files of the Natural Scenes Dataset, real or simulated, and what of them a run downloads.

    Parameters
    ----------
    run, kind
        As for any data set.

    Raises
    ------
    InputError
        If settings of section ``nsd`` contradict each other, NSD has no such further test set, or a
        server is asked for by plain HTTP that is not one's own.
    """

    title = "NSD"
    keys = (
        r"nsddata(?!.*/betas_(session\d\d|nsd\w+)\.).+\.(mat|csv|hdf5|nii\.gz|png|tsv)"
        r"(?<!\.record\.tsv)",
        r"nsddata_betas.+/betas_(session\d\d|nsd\w+)\.(hdf5|nii\.gz)",
    )

    def __init__(self, run: Run, kind: str) -> None:
        super().__init__(run, kind)
        self.settings = run.config["nsd"]
        unknown = [name for name in run.tests if name not in layout.FURTHER_TESTS]
        if unknown:
            raise InputError(
                "dataset.tests",
                found=listing(unknown),
                expected=f"some of {listing(layout.FURTHER_TESTS)}: NSD-Imagery and NSD-synthetic",
            )
        self.terms_accepted = self.settings["terms_accepted"]
        self.keeps_volumes = self.settings["keep_raw"]
        # A simulation never writes where another source reads.
        simulated = f"resources/simulated/{run.config['run']['name']}"
        source = kind if kind == SIMULATED else self.settings["source"]
        self.simulated = source == SIMULATED
        self.local = source == "local"
        self.downloads = source == "s3"
        self.root = simulated if self.simulated else self.settings["root"]
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
        if run.tests and self.simulated:
            wanted = len(layout.further_pictures("imagery"))
            if run.config["simulation"]["n_shared"] < wanted:
                raise InputError(
                    "simulation.n_shared",
                    found=run.config["simulation"]["n_shared"],
                    expected=f"{wanted} or more: pictures of dataset.tests are shared images",
                )
        if self.settings["s3"]["endpoint"] is not None:
            require_https(self.settings["s3"]["endpoint"], own_server=True)

    @property
    def rules(self) -> list[str]:
        """Where the data set comes from, and what of it travels."""
        images = "ranges" if self.images_by_ranges else "whole"
        voxels = "ranges" if self.voxels_by_ranges else "whole"
        return [
            "data_simulated" if self.simulated else "data_captions",
            *(["data_downloads"] if self.downloads else []),
            f"data_images_{images}",
            f"data_voxels_{voxels}",
            "data_trials",
            *(["data_further_tests"] if self.run.tests else []),
            *(["data_simulated_tests"] if self.run.tests and self.simulated else []),
        ]

    @cached_property
    def sessions(self) -> dict[str, list[int]]:
        """The 1-based sessions that are used of each subject."""
        pairs = zip(self.run.subjects, self.run.config["subjects"], strict=True)
        wanted = self.settings["sessions"]
        return {
            subject: layout.resolve_sessions(wanted, self._available_sessions(number), subject)
            for subject, number in pairs
        }

    def _available_sessions(self, number: int) -> int:
        if not self.simulated:
            if number not in layout.SESSIONS:
                raise InputError("subjects", found=number, expected="subjects of NSD, 1 to 8")
            return layout.SESSIONS[number]
        simulated = len(self.run.config["simulation"]["subjects"])
        if number > simulated:
            raise InputError(
                "subjects",
                found=number,
                expected=f"a subject of the simulation, 1 to {simulated}",
            )
        return self.run.config["simulation"]["n_sessions"]

    @property
    def max_repeats(self) -> int:
        """How often an image is shown at most."""
        simulated = self.simulated
        return self.run.config["simulation"]["max_repeats"] if simulated else layout.REPEATS

    @property
    def described(self) -> Mapping[str, str]:
        """Version of the betas, and the ROI volume."""
        return {name: self.settings[name] for name in ("betas", "mask")}

    @property
    def source(self) -> str:
        """Where the data come from, as every file says that is made of them."""
        if self.simulated:
            return provenance.SIMULATED
        if self.local:
            return f"local {self.settings['root']}"
        return f"s3://{self.settings['s3']['bucket']}"

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

    @property
    def tests_of_sessions(self) -> list[str]:
        """None: further test sets are experiments of their own."""
        return []

    @property
    def experiments(self) -> list[str]:
        """The experiments that further test sets are from."""
        return list(dict.fromkeys(layout.FURTHER_TESTS[name] for name in self.run.tests))

    def further_key(self, subject: str, experiment: str) -> str:
        """Key in the bucket of the betas of another experiment."""
        version, space, kind = (self.settings[name] for name in ("betas", "space", "format"))
        return layout.further_betas_key(subject, experiment, version, space, kind)

    def further_betas(self, subject: str, experiment: str) -> str:
        """The volume of another experiment's betas."""
        return self.path(self.further_key(subject, experiment))

    def further_tables(self, subject: str, experiment: str) -> list[str]:
        """What was shown when in another experiment."""
        return list(map(self.path, layout.further_tables(subject, experiment)))

    def further_pictures(self, experiment: str) -> list[str]:
        """The pictures of another experiment."""
        return list(map(self.path, layout.further_pictures(experiment)))

    def _further_of(self, subject: str) -> list[str]:
        """Tables of a subject in other experiments that not all subjects have in common."""
        found = [path for name in self.experiments for path in self.further_tables(subject, name)]
        return [path for path in found if subject in path]

    @property
    def _further_of_all(self) -> list[str]:
        designs = [self.path(layout.SYNTHETIC_DESIGN)] if "synthetic" in self.experiments else []
        return [*designs, *chain.from_iterable(map(self.further_pictures, self.experiments))]

    def roi(self, subject: str, volume: str) -> str:
        """A volume of labels, by its name in NSD's folder of ROIs."""
        return self.path(layout.roi_key(subject, volume, self.settings["space"]))

    def mask(self, subject: str) -> str:
        """The volume whose voxels above 0 are used."""
        return self.roi(subject, self.settings["mask"])

    def ncsnr(self, subject: str) -> str:
        """NSD's map of the noise ceiling's signal-to-noise ratio."""
        return self.path(layout.ncsnr_key(subject, self.settings["betas"], self.settings["space"]))

    @property
    def regions(self) -> list[Region]:
        """The regions of every run, and the user's, all in volumes of NSD's folder of ROIs."""
        return self.run.regions

    def region_volumes(self, subject: str) -> dict[str, str]:
        """Name to file of the volumes that the regions of interest are in."""
        return {name: self.roi(subject, name) for name in volumes(self.regions)}

    @property
    def captions(self) -> str:
        """The array of captions; a simulation writes its own."""
        return self.path("captions.npy") if self.simulated else self.settings["captions"]

    @property
    def caption_table(self) -> str:
        """The table of all stimuli."""
        return self.stimulus_table

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
    def annotations(self) -> list[str]:
        """COCO's annotations, where captions are made from them."""
        made = self.run.needs_captions and self.captions == COCO_CAPTIONS
        return [COCO_ANNOTATIONS] if made else []

    @property
    def own_captions(self) -> list[str]:
        """The array of captions, if the user brought it."""
        made = self.captions == COCO_CAPTIONS or self.simulated
        return [] if made or not self.run.needs_captions else [self.captions]

    def own_files(self) -> dict[str, list[str]]:
        """The captions; a copy of the rest is looked at as a whole."""
        return {"nsd.captions": self.own_captions}

    def voxels(self, subject: str) -> list[str]:
        """The files of voxels of a subject's sessions."""
        folder = f"{self.run.results}/{subject}/betas/sessions"
        numbers = [f"{session:02d}" for session in self.sessions[subject]]
        return [f"{folder}/{name}.h5" for name in [*numbers, *self.experiments]]

    def _keys(self, subject: str) -> list[str]:
        """Keys of the volumes of a subject's sessions, those of other experiments too."""
        numbers, experiments = self.sessions[subject], self.experiments
        sessions = [self.betas_key(subject, session) for session in numbers]
        return [*sessions, *(self.further_key(subject, name) for name in experiments)]

    def volumes(self, subject: str) -> list[str]:
        """The volumes of a subject's sessions."""
        return list(map(self.path, self._keys(subject)))

    def of_sessions(self, subject: str) -> list[str]:
        """What comes from outside of a subject's sessions: volumes, or their voxels."""
        return self.voxels(subject) if self.voxels_by_ranges else self.volumes(subject)

    def needed(self) -> dict[str, list[str]]:
        """What a run reads of the data set, by whose it is."""
        table = [self.stimulus_table] if self.run.needs_captions else []
        stimuli = self.test_images if self.images_by_ranges else self.stimuli
        shared = [self.design, *table, stimuli, *self._further_of_all]
        return {"all subjects": shared, **{s: self._of(s) for s in self.run.subjects}}

    def _of(self, subject: str) -> list[str]:
        images = [self.train_images(subject)] if self.images_by_ranges else []
        brain = self.run.brain
        analysed = {s for name in WITH_REGIONS for s in brain.get(name, [])}
        regions = self.region_volumes(subject).values() if subject in analysed else []
        maps = [self.mask(subject), self.ncsnr(subject), *regions]
        further = self._further_of(subject)
        return [*dict.fromkeys(maps), *images, *further, *self.of_sessions(subject)]

    @property
    def temporary(self) -> list[str]:
        """Downloads that are removed once they are used."""
        if self.keeps_volumes or self.voxels_by_ranges:
            return []
        return list(chain.from_iterable(map(self.volumes, self.run.subjects)))

    def downloads_in_detail(self) -> dict[str, Any]:
        """What a run downloads: ranges of images and voxels, or whole files."""
        subjects = self.run.subjects
        images: dict[str, tuple[str | None, list[int] | None]] = {}
        masks: dict[str, str] = {}
        keys: dict[str, str] = {}
        if self.images_by_ranges:
            images = {self.test_images: (None, None)}
            images |= {self.train_images(s): (s, self.sessions[s]) for s in subjects}
            keys = dict.fromkeys(images, layout.STIMULI)
        if self.voxels_by_ranges:
            for subject in subjects:
                keys |= dict(zip(self.voxels(subject), self._keys(subject), strict=True))
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
