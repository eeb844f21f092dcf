"""Data sets by the patterns of the configuration: files that the user brings, or a bucket's."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nsdrecon.datasets.files import DataFiles
from nsdrecon.errors import InputError, listing
from nsdrecon.layout import MAX_SESSIONS, resolve_sessions, subject_number
from nsdrecon.regions import Region, volumes
from nsdrecon.run import WITH_REGIONS, Run

MAX_RUNS = 99
_SESSION, _RUN = "{session", "{run"
_IN_BUCKET = ("trials", "betas", "mask", "rois", "captions")


@dataclass(frozen=True)
class Reader:
    """A kind of data set that patterns of the configuration describe.

    Parameters
    ----------
    kind
        Its name in ``dataset.kind``, and that of its section of the configuration.
    place
        Of the class that reads it, as ``module:Name``; it has the methods of
        :class:`nsdrecon.data.prepared.Prepared`.
    settings
        Keys of the section that the class takes.
    pictures, captions
        Places of what reads these: :func:`nsdrecon.data.pictures.pictures`,
        :func:`nsdrecon.data.contract.read_captions`, or functions of the same form.
    tables
        Keys of the section that name other files which the user brings, one of each subject.
    keys
        Where it comes from a bucket: regular expressions of keys, as
        :class:`nsdrecon.datasets.files.DataFiles` has them. The section then has ``source``,
        ``root``, ``s3`` and ``keep_raw``, and its patterns are below ``root``.
    subjects, n_sessions
        Of such a data set: its subjects, and how many sessions each has.
    """

    kind: str
    place: str
    settings: tuple[str, ...]
    pictures: str = "nsdrecon.data.pictures:pictures"
    captions: str = "nsdrecon.data.contract:read_captions"
    tables: tuple[str, ...] = ()
    keys: tuple[str, str] | None = None
    subjects: tuple[int, ...] = ()
    n_sessions: int = 0


class BroughtFiles(DataFiles):
    """Files by patterns with ``{subject}`` and ``{session}``, on this machine or in a bucket.

    Parameters
    ----------
    run
        The run.
    reader
        The kind of data set.

    Raises
    ------
    InputError
        If a pattern has other fields, a file that is needed for planning is missing, the data set
        has no such subject, or the run needs captions and there are none.
    """

    def __init__(self, run: Run, reader: Reader) -> None:
        super().__init__(run, reader.kind)
        self.reader = reader
        self.title = reader.kind
        self.settings = run.config[reader.kind]
        if reader.keys is not None:
            self.keys, self.root = reader.keys, self.settings["root"]
            self.downloads = self.settings["source"] == "s3"
            self.keeps_volumes = self.settings["keep_raw"]
            unknown = set(run.config["subjects"]) - set(reader.subjects)
            if unknown:
                raise InputError(
                    "subjects",
                    found=listing(sorted(unknown)),
                    expected=f"subjects of {self.kind}: {listing(reader.subjects)}",
                )
        if run.needs_captions and self.settings["captions"] is None:
            raise InputError(
                f"{self.kind}.captions",
                found="nothing (null), with systems, oracles or categories that need text features",
                expected="captions of the pictures",
                remedy="Name a table of captions, or leave out what needs them: systems and "
                "oracles of diffusion models, evaluation.categories, evaluation.holdout.",
            )
        analysed = [name for name in WITH_REGIONS if run.brain.get(name)]
        if analysed and not self.regions:
            raise InputError(
                f"{self.kind}.rois",
                found=f"no volume of a region, with brain.{analysed[0]}",
                expected=f"some of {listing(volumes(run.regions), 20)}",
                remedy="Name volumes of labels, and in brain.rois what is in them.",
            )

    @property
    def rules(self) -> list[str]:
        """One file of rules for all of them, and that of downloads."""
        return [*(["data_downloads"] if self.downloads else []), "data_brought"]

    @property
    def source(self) -> str:
        """The kind, and the folder in which the responses of all subjects lie; or the bucket."""
        if self.downloads:
            return f"s3://{self.settings['s3']['bucket']}"
        fixed = self._placed("betas", self.settings["betas"].partition("{")[0])
        return f"{self.kind} {Path(f'{fixed}*').parent}"

    def path(self, role: str, subject: str, session: int | None = None, run: int = 1) -> str:
        """A file of a subject, of one session of it, or of one run.

        Parameters
        ----------
        role
            Key of the data set's section, such as ``betas``.
        subject
            As ``subj01``; in the pattern it is its number.
        session, run
            1-based.
        """
        return self._formatted(role, self.settings[role], subject, session, run)

    def _formatted(
        self, role: str, pattern: str, subject: str, session: int | None = None, run: int = 1
    ) -> str:
        try:
            found = pattern.format(subject=subject_number(subject), session=session, run=run)
            return self._placed(role, found)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.kind}.{role}",
                found=f"{pattern!r} ({type(error).__name__}: {error})",
                expected="a path with the fields {subject} and {session}, or formatted as "
                "{subject:02d}",
            ) from None

    def _placed(self, role: str, value: Any) -> Any:
        """A setting; if it is a path in the bucket, that in the folder that mirrors it."""
        in_bucket = bool(self.root) and role.partition(".")[0] in _IN_BUCKET
        return f"{self.root}/{value}" if in_bucket else value

    def by_session(self, role: str) -> bool:
        """Whether there is a file for each session."""
        return _SESSION in self.settings[role]

    @cached_property
    def sessions(self) -> dict[str, list[int]]:
        """The 1-based sessions that are used of each subject."""
        wanted = self.settings["sessions"]
        return {
            subject: resolve_sessions(wanted, self._found_sessions(subject), subject)
            for subject in self.run.subjects
        }

    def _found_sessions(self, subject: str) -> list[int]:
        if self.downloads:
            return list(range(1, self.reader.n_sessions + 1))
        if not self.by_session("trials"):
            path = self.path("trials", subject)
            # A design of runs says nothing of sessions: it is of one.
            in_runs = _RUN in self.settings["trials"] or Path(path).suffix == ".npy"
            return [1] if in_runs else _listed_sessions(path)
        numbers = range(1, MAX_SESSIONS + 1)
        found = [n for n in numbers if Path(self.path("trials", subject, n)).is_file()]
        if not found:
            raise InputError(
                f"{self.kind}.trials",
                found=f"no file {self.path('trials', subject, 1)} or of another session",
                expected=f"the trials of {subject}",
            )
        return found

    def trials(self, subject: str) -> list[str]:
        """The tables of a subject's trials."""
        sessions = self._with_tables(subject)
        in_runs = _RUN in self.settings["trials"]
        runs = range(1, MAX_RUNS + 1) if in_runs else [1]
        paths = [self.path("trials", subject, session, run) for session in sessions for run in runs]
        return [path for path in paths if Path(path).is_file()] if in_runs else paths

    def _with_tables(self, subject: str) -> list[int | None]:
        """The sessions whose tables tell what is in the responses: all where these are one file."""
        if not self.by_session("trials"):
            return [None]
        by_session = self.by_session("betas")
        return [*(self.sessions[subject] if by_session else self._found_sessions(subject))]

    def tables(self, subject: str) -> list[str]:
        """What else says which trials are used, and how."""
        return [self.path(key, subject) for key in self.reader.tables]

    def betas(self, subject: str, session: int | str) -> str:
        """The file of a session's betas; one may hold them all."""
        return self.path("betas", subject, int(session))

    def mask(self, subject: str) -> str:
        """The volume whose voxels above 0 are used."""
        return self.path("mask", subject)

    @property
    def pictures(self) -> str:
        """The file or the folder of pictures."""
        return self.settings["pictures"]

    @property
    def caption_list(self) -> list[str]:
        """The table of captions, where it is used."""
        used = self.run.needs_captions
        return [self._placed("captions", self.settings["captions"])] if used else []

    @property
    def own_captions(self) -> list[str]:
        """The table of captions, where it is used and the user brought it."""
        return [] if self.downloads else self.caption_list

    @property
    def captions(self) -> str:
        """The array that is made of the table: a row a picture."""
        return "<results>/stimuli/captions.npy"

    def ncsnr(self, subject: str) -> str:
        """A map that the user has, or one that is computed from repeats."""
        return self.own_map(subject) or f"<results>/{subject}/ncsnr.nii.gz"

    def own_map(self, subject: str) -> str | None:
        """The map of the noise ceiling, if the user has one."""
        own = self.settings["noise_ceiling"] is not None
        return self.path("noise_ceiling", subject) if own else None

    @property
    def regions(self) -> list[Region]:
        """The regions whose volumes the section names."""
        return [region for region in self.run.regions if region.volume in self.settings["rois"]]

    def region_volumes(self, subject: str) -> dict[str, str]:
        """Name to file of the volumes that the regions of interest are in."""
        return {
            name: self._formatted(f"rois.{name}", self.settings["rois"][name], subject)
            for name in volumes(self.regions)
        }

    @property
    def max_repeats(self) -> int:
        """As the section says."""
        return self.settings["max_repeats"]

    @property
    def described(self) -> Mapping[str, str]:
        """The patterns of betas and mask."""
        return {name: self.settings[name] for name in ("betas", "mask")}

    def own_files(self) -> dict[str, list[str]]:
        """Every file and folder of the user that the section names, by its key."""
        found = {
            key: paths
            for key, paths in self._named().items()
            if not (self.downloads and key in _IN_BUCKET)
        }
        return {f"{self.kind}.{key}": list(dict.fromkeys(paths)) for key, paths in found.items()}

    def _named(self) -> dict[str, list[str]]:
        subjects = self.run.subjects
        return {
            "trials": [path for subject in subjects for path in self.trials(subject)],
            "betas": [self.betas(name, n) for name in subjects for n in self.sessions[name]],
            "mask": [self.mask(subject) for subject in subjects],
            "noise_ceiling": [path for path in map(self.own_map, subjects) if path],
            "rois": [path for name in subjects for path in self.region_volumes(name).values()],
            "pictures": [self.pictures],
            "captions": self.caption_list,
            **{key: [self.path(key, name) for name in subjects] for key in self.reader.tables},
        }

    def needed(self) -> dict[str, list[str]]:
        """What a run downloads, by whose it is."""
        if not self.downloads:
            return {}
        return {"all subjects": self.caption_list, **{s: self._of(s) for s in self.run.subjects}}

    def _of(self, subject: str) -> list[str]:
        analysed = {s for name in WITH_REGIONS for s in self.run.brain.get(name, [])}
        regions = self.region_volumes(subject).values() if subject in analysed else []
        maps = [self.mask(subject), *regions]
        return [*dict.fromkeys(maps), *self.trials(subject), *self._volumes(subject)]

    def _volumes(self, subject: str) -> list[str]:
        return [self.betas(subject, session) for session in self.sessions[subject]]

    @property
    def temporary(self) -> list[str]:
        """Downloads that are removed once they are used."""
        if self.keeps_volumes or not self.downloads:
            return []
        return [path for subject in self.run.subjects for path in self._volumes(subject)]

    def downloads_in_detail(self) -> dict[str, Any]:
        """What a run downloads: whole files, of which volumes are removed after use."""
        found = super().downloads_in_detail() | {"root": self.root, "files": self.needed()}
        if self.temporary:
            folder = f"{self.run.results}/{{}}/betas/sessions/{{:02d}}.h5"
            found["voxels"] = {
                self.betas(subject, session): (folder.format(subject, session), 0)
                for subject in self.run.subjects
                for session in self.sessions[subject]
            }
        return found

    def arguments(self, subject: str) -> tuple[str, dict[str, Any], int, list[int]]:
        """What a job makes the reader of a subject from: its place, and its arguments."""
        settings = {key: self._placed(key, self.settings[key]) for key in self.reader.settings}
        settings["tests"] = self.run.tests
        return self.reader.place, settings, subject_number(subject), self.sessions[subject]


def _listed_sessions(path: str) -> list[int]:
    """The sessions of a table of trials; 1 where it has no such column."""
    if not Path(path).is_file():
        raise InputError(
            path,
            found="no file",
            expected="a table of trials",
            remedy="Paths are relative to the folder in which snakemake is started.",
        )
    with open(path, newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        if "session" not in (rows.fieldnames or []):
            return [1]
        listed = {row["session"] for row in rows}
    strange = sorted(text for text in listed if not (text or "").isdigit() or not int(text))
    numbers = sorted(int(text) for text in listed if text not in strange)
    if strange or not numbers or numbers[-1] > MAX_SESSIONS:
        raise InputError(
            path,
            found=f"session {listing(strange or numbers[-1:]) or 'of no trial'}",
            expected=f"numbers from 1 to {MAX_SESSIONS}",
        )
    return numbers
