"""Images of one diffusion system for one shard of a subject's test images."""

from nsdrecon.devices import PRECISIONS, choose_device
from nsdrecon.diffusion.loop import check_inputs, reconstruct
from nsdrecon.diffusion.sampling import Sampling
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.latent_files import read_latents
from nsdrecon.logs import job_log
from nsdrecon.store import read_array, read_ids, shard_ids, write_arrays

BACKBONES = {"sd": StableDiffusion, "vd": VersatileDiffusion}

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    subject, system = snakemake.params.subject, snakemake.wildcards.system
    name, sampler = system.removeprefix("oracle-").split("-")
    backbone, folders = BACKBONES[name], snakemake.params.folders
    nsd_id = shard_ids(read_ids(snakemake.input.stage1), *snakemake.params.part)
    stage1 = read_array(snakemake.input.stage1, "images", nsd_id)[:, 0]
    conditioning = {
        feature: read_latents(path, feature, nsd_id)
        for feature, path in zip(snakemake.params.guidance, snakemake.input.guidance, strict=True)
    }
    sampling = Sampling(sampler=sampler, **snakemake.params.sampling)
    check_inputs(
        backbone.describe(**folders),
        nsd_id,
        stage1,
        conditioning,
        samples=cfg["stage2.samples"],
        batch_size=cfg["stage2.batch_size"],
    )
    images = reconstruct(
        backbone.load(
            **folders,
            **snakemake.params.flows,
            device=choose_device(cfg["device"], snakemake.threads),
            dtype=PRECISIONS[cfg["stage2.precision"]],
            compile_unet=cfg["stage2.compile"],
        ),
        nsd_id,
        stage1,
        conditioning,
        subject=subject,
        seed=cfg["seed"],
        sampling=sampling,
        samples=cfg["stage2.samples"],
        batch_size=cfg["stage2.batch_size"],
    )
    about = {"system": system, "subject": subject, **snakemake.params.sampling}
    write_arrays(snakemake.output[0], nsd_id, {"images": images}, about)
