"""What a run needs from outside besides its data set: models, and the records of all downloads.

Imports nothing heavy: the workflow reads this module whenever it is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from nsdrecon.datasets.files import DataFiles
from nsdrecon.errors import InputError, listing
from nsdrecon.run import Run
from nsdrecon.systems import SCORING, STAGE1
from nsdrecon.transfer.catalogue import FILES

DOWNLOADED = "resources/models/"
"""Models below this folder are downloaded; any other is the user's own."""

_WEIGHTS = {".th", ".pt", ".pth", ".tar", ".safetensors"}


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

    def place(self, model: str) -> str:
        """The file or the folder of one model, as its encoder is given it."""
        if model == SCORING:
            return self.run.encoding_network["weights"]
        files, folders = self.sources(model)
        return (files or folders)[0]

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
    single = {path: path for path in [*files, *data.annotations]}
    return single | {folder: _record(folder) for folder in folders}


def records(models: ModelFiles, data: DataFiles) -> list[str]:
    """The records of everything that a run downloads."""
    files, folders = models.downloads()
    of_data = chain.from_iterable(data.needed().values()) if data.downloads else []
    single = [f"{path}.record.tsv" for path in [*files, *data.annotations, *of_data]]
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
