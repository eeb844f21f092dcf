"""A subject's training images without the clusters of captions that are left out."""

from nsdrecon.evaluation.variants import select_images, semantic_clusters, without_clusters
from nsdrecon.job import job
from nsdrecon.store import read_ids

with job(snakemake) as log:
    cfg, output = snakemake.params.cfg, snakemake.output
    clusters = semantic_clusters(
        snakemake.input.captions, n_clusters=cfg["evaluation.categories"], seed=cfg["seed"]
    )
    training = read_ids(snakemake.input.train)
    kept, left_out = without_clusters(clusters, training, cfg["evaluation.held_out"])
    log.info("%d of %d training images left out", len(left_out), len(training))
    select_images(snakemake.input.train, kept, output.train)
    for source, target in zip(snakemake.input.latents, output.latents, strict=True):
        select_images(source, kept, target)
