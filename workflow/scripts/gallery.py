"""Write the page of all test images: filtered by system and subject, sorted by any score."""

from itertools import product
from pathlib import Path

from nsdrecon.data.captions import captions_of
from nsdrecon.job import job
from nsdrecon.metrics import from_params
from nsdrecon.pages.gallery import gallery_columns, write_gallery
from nsdrecon.store import open_h5, read_ids, read_table

with job(snakemake):
    params, files = snakemake.params, snakemake.input
    scores = {subject: {} for subject in params.subjects}
    systems = [*params.titles, *params.floors, *params.ceilings]
    for (subject, system), path in zip(
        product(params.subjects, systems), files.scores, strict=True
    ):
        scores[subject][system] = read_table(path)
    chosen = {subject: {} for subject in params.subjects}
    for (subject, system), path in zip(
        product(params.subjects, params.several), files.samples, strict=True
    ):
        chosen[subject][system] = path
    captions = {}
    if files.captions:
        nsd_id = read_ids(files.stimuli)
        with open_h5(files.stimuli) as file:
            n_stimuli = int(file.attrs["n_stimuli"])
        captions = dict(zip(nsd_id, captions_of(files.captions[0], nsd_id, n_stimuli), strict=True))
    write_gallery(
        snakemake.output[0],
        title="All test images",
        pictures=Path(files.pictures[0]).parent.name,
        columns=gallery_columns(params.titles, params.floors, params.ceilings, params.several),
        metrics=[from_params(row) for row in params.metrics],
        scores=scores,
        chosen=chosen,
        captions=captions,
    )
