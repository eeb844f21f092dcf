"""Captions of all stimuli from COCO's annotations."""

import tempfile
import zipfile
from pathlib import Path

from nsdrecon.data.captions import captions_from_coco
from nsdrecon.data.nsd import read_stimulus_table
from nsdrecon.job import job

SPLITS = ("train2017", "val2017")

with job(snakemake, raw=True) as log:
    stimuli = read_stimulus_table(snakemake.input.stimulus_table)
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(snakemake.input.annotations) as archive,
    ):
        names = {split: f"annotations/captions_{split}.json" for split in SPLITS}
        paths = {split: Path(archive.extract(name, folder)) for split, name in names.items()}
        captions_from_coco(stimuli, paths, snakemake.output[0])
    log.info("captions of %d stimuli", len(stimuli))
