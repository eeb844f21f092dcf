"""VDVAE latents of one shard of the images of a subject's split."""

from nsdrecon.data.latent_files import write_latents
from nsdrecon.data.nsd import read_trials, split_ids
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.store import read_array, shard_ids
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.latents import extract_latents

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    device = choose_device(how["device"], snakemake.threads)
    seen = split_ids(read_trials(snakemake.input.trials), snakemake.params.split)
    nsd_id = shard_ids(seen, *snakemake.params.part)
    model = load_vdvae(
        snakemake.input.checkpoint, VDVAEConfig(**snakemake.params.architecture), device=device
    )
    latents = extract_latents(
        model,
        read_array(snakemake.input.stimuli, "images", nsd_id),
        nsd_id,
        n_layers=cfg["latents.vdvae_layers"],
        latent=cfg["latents.vdvae_values"],
        seed=cfg["seed"],
        batch_size=how["latents.batch_size"],
        precision=cfg["latents.vdvae_precision"],
    )
    write_latents(snakemake.output[0], nsd_id, latents, "vdvae")
