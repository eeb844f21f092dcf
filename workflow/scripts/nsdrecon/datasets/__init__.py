"""The kinds of data sets that can be reconstructed from: one table, an adapter a kind.

Imports nothing heavy: the workflow reads this package whenever it is parsed.
"""

from __future__ import annotations

from nsdrecon.datasets.brought import BroughtFiles, Reader
from nsdrecon.datasets.files import DataFiles
from nsdrecon.datasets.nsd import NSDFiles
from nsdrecon.run import Run

READERS = (
    Reader(
        "prepared",
        place="nsdrecon.data.prepared:Prepared",
        settings=("betas", "mask", "scale", "trials", "units"),
    ),
    Reader(
        "glmsingle",
        place="nsdrecon.data.glmsingle:GLMsingle",
        settings=("betas", "column", "ignored", "mask", "scale", "test", "trials", "units"),
        tables=("test",),
    ),
    Reader(
        "laion-fmri",
        place="nsdrecon.data.laion_fmri:LAIONfMRI",
        settings=("betas", "mask", "split", "splits", "trials"),
        pictures="nsdrecon.data.laion_fmri:PackedPictures",
        captions="nsdrecon.data.laion_fmri:read_captions",
        tables=("splits",),
        keys=(
            r"(derivatives|stimuli)/(?!.*SingletrialBetas_statmap).+\.(csv|nii\.gz|tsv)"
            r"(?<!\.record\.tsv)",
            r"derivatives/.+SingletrialBetas_statmap\.nii\.gz",
        ),
        subjects=(1, 3, 5, 6, 7),
        n_sessions=30,
    ),
)
"""Data sets by patterns: a section of the configuration, of the kind's name, says where the files
lie, which the user brings or a bucket has; a class reads them."""


def data_files(run: Run) -> DataFiles:
    """The adapter of a run's data set.

    Raises
    ------
    InputError
        If the settings of the data set contradict each other or those of the run.
    """
    kind = run.config["dataset"]["kind"]
    readers = {reader.kind: reader for reader in READERS}
    return BroughtFiles(run, readers[kind]) if kind in readers else NSDFiles(run, kind)
