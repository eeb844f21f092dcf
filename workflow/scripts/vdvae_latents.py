"""VDVAE latents of one shard of seen images."""

from nsdrecon.data.latent_files import write_latents
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.store import open_rows, read_ids, shard_ids
from nsdrecon.vdvae.latents import vdvae_features

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    nsd_id = shard_ids(read_ids(snakemake.input.images), *snakemake.params.part)
    with open_rows(snakemake.input.images, "images", nsd_id) as images:
        latents = vdvae_features(
            nsd_id,
            images,
            snakemake.input.checkpoint,
            architecture=snakemake.params.architecture,
            vdvae_layers=cfg["latents.vdvae_layers"],
            vdvae_values=cfg["latents.vdvae_values"],
            vdvae_precision=cfg["latents.vdvae_precision"],
            seed=cfg["seed"],
            batch_size=how["latents.batch_size"],
            device=choose_device(how["device"], snakemake.threads),
        )
    write_latents(snakemake.output[0], nsd_id, latents, "vdvae")
