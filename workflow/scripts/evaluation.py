"""Score the reconstructions of systems, and their shuffled floors, image by image."""

from itertools import zip_longest
from pathlib import Path

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.scoring import Scored, evaluate
from nsdrecon.job import job
from nsdrecon.metrics import from_params
from nsdrecon.store import read_ids

with job(snakemake):
    cfg, how, files = snakemake.params.cfg, snakemake.params.how, snakemake.input
    # The floors that need no decoder come last, and have no floor of their own.
    tables = zip_longest(files.reconstructions, snakemake.output.scores, snakemake.output.shuffled)
    left_out = snakemake.params.left_out
    evaluate(
        [Scored(*paths, left_out.get(Path(paths[0]).stem, ())) for paths in tables],
        files.stimuli,
        seed=cfg["seed"],
        nsd_id=read_ids(files.responses),
        protocol_name=cfg["evaluation.protocol"],
        metrics=[from_params(row) for row in snakemake.params.metrics],
        seen_features=files.get("seen_features") or None,
        categories=files.get("categories") or None,
        device=choose_device(how["device"], snakemake.threads),
    )
