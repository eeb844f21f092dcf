"""VDVAE latents of one shard of seen images."""

from nsdrecon.data.latent_files import write_latents
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.store import read_array, read_ids, shard_ids
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.latents import extract_latents

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    device = choose_device(how["device"], snakemake.threads)
    nsd_id = shard_ids(read_ids(snakemake.input.images), *snakemake.params.part)
    model = load_vdvae(
        snakemake.input.checkpoint, VDVAEConfig(**snakemake.params.architecture), device=device
    )
    latents = extract_latents(
        model,
        read_array(snakemake.input.images, "images", nsd_id),
        nsd_id,
        n_layers=cfg["latents.vdvae_layers"],
        latent=cfg["latents.vdvae_values"],
        seed=cfg["seed"],
        batch_size=how["latents.batch_size"],
        precision=cfg["latents.vdvae_precision"],
    )
    write_latents(snakemake.output[0], nsd_id, latents, "vdvae")
