"""What a data set has to say of itself while the workflow is parsed: the interface of its adapters.

An adapter writes the files of the data contract (docs/data-contract.md) up to the responses of
single sessions; whatever follows from them knows no data set. Imports nothing heavy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from nsdrecon.regions import Region
from nsdrecon.run import Run


class DataFiles(ABC):
    """Files of a data set: where they lie, which rules read them, what of them travels.

    What is defined here fits a data set that lies on this machine and belongs to the user.

    Parameters
    ----------
    run
        The run.
    kind
        ``dataset.kind`` of the configuration.

    Attributes
    ----------
    settings
        The section of the configuration that describes it.
    simulated
        Whether the pictures are drawn and the brains made up.
    local
        Whether it is a copy, in NSD's layout, that the user has.
    downloads
        Whether it comes out of a bucket.
    root
        Folder that mirrors the bucket.
    title
        Whose bucket it is.
    keys
        Regular expressions of keys in the bucket: of what stays here, and of the volumes of
        sessions, which may be removed once they are used.
    terms_accepted
        Whether the user accepted the terms of use; None where nothing of it waits for that.
    keeps_volumes
        Whether volumes of sessions stay after their voxels have been cut out.
    """

    settings: Mapping[str, Any]
    simulated = False
    local = False
    downloads = False
    root = ""
    title = ""
    keys = ("", "")
    terms_accepted: bool | None = None
    keeps_volumes = True

    def __init__(self, run: Run, kind: str) -> None:
        self.run = run
        self.kind = kind

    @property
    @abstractmethod
    def rules(self) -> list[str]:
        """Files of rules, by stem, that write the contract's first files from this data set."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the data come from, as every file says that is made of them."""

    @property
    @abstractmethod
    def sessions(self) -> dict[str, list[int]]:
        """The 1-based sessions that are used of each subject."""

    @property
    @abstractmethod
    def captions(self) -> str:
        """The array of captions, a row a stimulus."""

    @property
    def caption_table(self) -> str | None:
        """The table of all stimuli, where it says how many rows the captions must have."""
        return None

    @property
    def caption_files(self) -> list[str]:
        """What the encoders of text read: the captions, and the table, if any."""
        return [path for path in (self.captions, self.caption_table) if path]

    @property
    def design(self) -> str | None:
        """What was shown when, where one file says it of all subjects."""
        return None

    @abstractmethod
    def ncsnr(self, subject: str) -> str:
        """The map of the noise ceiling's signal-to-noise ratio."""

    @property
    @abstractmethod
    def regions(self) -> list[Region]:
        """The regions of interest that there are volumes of."""

    @abstractmethod
    def region_volumes(self, subject: str) -> dict[str, str]:
        """Name to file of the volumes that the regions of interest are in."""

    @property
    def tests_of_sessions(self) -> list[str]:
        """Further test sets whose trials are among those of the sessions."""
        return self.run.tests

    @property
    @abstractmethod
    def max_repeats(self) -> int:
        """The most repeats of a test image over which responses are averaged in steps."""

    @property
    @abstractmethod
    def described(self) -> Mapping[str, str]:
        """Words of the report: ``betas`` and ``mask``."""

    @property
    def server(self) -> dict[str, Any]:
        """The bucket, as :func:`nsdrecon.transfer.s3.open_bucket` takes it."""
        return {"s3": self.settings.get("s3", {}), "terms_accepted": self.terms_accepted}

    @property
    def annotations(self) -> list[str]:
        """What is downloaded with the models, to make captions from."""
        return []

    @property
    def own_captions(self) -> list[str]:
        """The captions, if the user brought them."""
        return []

    def brought(self) -> dict[str, tuple[list[str], list[str], None]]:
        """What the user brought, in the form of :meth:`nsdrecon.sources.ModelFiles.brought`."""
        return {"captions": (self.own_captions, [], None)} if self.own_captions else {}

    def own_files(self) -> dict[str, list[str]]:
        """Files and folders of the data set that the user has, by the setting that names them."""
        return {}

    def needed(self) -> dict[str, list[str]]:
        """What a run reads of the data set, by whose it is."""
        return {}

    @property
    def temporary(self) -> list[str]:
        """Downloads that are removed once they are used."""
        return []

    def downloads_in_detail(self) -> dict[str, Any]:
        """What a run downloads of the data set, as :mod:`nsdrecon.doctor.amounts` counts it.

        ``files`` by whose they are; for files that are filled by ranges the ``keys`` of the remote
        objects; for images the subject and sessions (None: the shared ones); for ``ranges`` of
        voxels the mask; for each volume that is removed after use the file of ``voxels`` that
        stays, with its bytes where they are known.
        """
        nothing: tuple[str, ...] = ("files", "keys", "images", "ranges", "voxels")
        return {"root": "", **{name: {} for name in nothing}}
