"""Images of one diffusion system for one shard of a subject's test images."""

from nsdrecon.data.latent_files import read_latents
from nsdrecon.devices import choose_device, number_format
from nsdrecon.diffusion.loop import check_inputs, reconstruct
from nsdrecon.diffusion.sampling import Sampling
from nsdrecon.extensions import implementation
from nsdrecon.job import job
from nsdrecon.store import read_array, read_ids, shard_ids, write_arrays

with job(snakemake):
    params = snakemake.params
    cfg, how = params.cfg, params.how
    subject, system = snakemake.wildcards.subject, snakemake.wildcards.system
    backbone = implementation(params.loader)
    nsd_id = shard_ids(read_ids(snakemake.input.responses), *params.part)
    stage1 = read_array(snakemake.input.stage1, "images", nsd_id)
    if stage1.ndim == 5:  # those of stage 1 have an axis of samples, seen images have none
        stage1 = stage1[:, 0]
    conditioning = {
        kind: read_latents(path, feature, nsd_id)
        for (kind, feature), path in zip(
            params.guidance.items(), snakemake.input.guidance, strict=True
        )
    }
    check_inputs(
        backbone.describe(params.folder),
        nsd_id,
        stage1,
        conditioning,
        samples=cfg["stage2.samples"],
        batch_size=how["stage2.batch_size"],
    )
    device = choose_device(how["device"], snakemake.threads)
    images = reconstruct(
        backbone.load(
            params.folder,
            **params.settings,
            device=device,
            dtype=number_format(cfg["stage2.precision"], device),
            compile_unet=cfg["stage2.compile"],
        ),
        nsd_id,
        stage1,
        conditioning,
        subject=subject,
        seed=cfg["seed"],
        sampling=Sampling(sampler=params.sampler, **params.sampling),
        samples=cfg["stage2.samples"],
        batch_size=how["stage2.batch_size"],
    )
    about = {"system": system, "subject": subject, **params.sampling}
    write_arrays(snakemake.output[0], nsd_id, {"images": images}, about)
