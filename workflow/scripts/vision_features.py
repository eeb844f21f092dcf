"""Versatile Diffusion's vision features of one shard of the images of a subject's split."""

from nsdrecon.clip_features import vd_vision_features
from nsdrecon.devices import choose_device
from nsdrecon.latent_files import write_latents
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_trials, split_ids
from nsdrecon.store import read_array, shard_ids

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    device = choose_device(cfg["device"], snakemake.threads)
    seen = split_ids(read_trials(snakemake.input.trials), snakemake.params.split)
    nsd_id = shard_ids(seen, *snakemake.params.part)
    features = vd_vision_features(
        nsd_id,
        read_array(snakemake.input.stimuli, "images", nsd_id),
        snakemake.params.folder,
        batch_size=cfg["latents.batch_size"],
        device=device,
    )
    write_latents(snakemake.output[0], nsd_id, features, "vd-vision")
