"""Stage-1 images of a subject's test images."""

import numpy as np

from nsdrecon.data.latent_files import read_latents
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.store import read_ids, write_arrays
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.decoding import decode_latents

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    subject = snakemake.wildcards.subject
    device = choose_device(how["device"], snakemake.threads)
    nsd_id = np.sort(read_ids(snakemake.input.responses))
    model = load_vdvae(
        snakemake.input.checkpoint, VDVAEConfig(**snakemake.params.architecture), device=device
    )
    images = decode_latents(
        model,
        read_latents(snakemake.input.latents, "vdvae", nsd_id),
        nsd_id,
        key=(cfg["seed"], subject, 0),
        temperature=cfg["stage1.temperature"],
        output=cfg["stage1.output"],
        rounding=cfg["stage1.rounding"],
        batch_size=how["stage1.batch_size"],
        precision=cfg["stage1.precision"],
    )
    about = {"system": snakemake.wildcards.system, "subject": subject}
    # One sample an image: the axis is there because the systems of stage 2 can have more.
    write_arrays(snakemake.output[0], nsd_id, {"images": images[:, None]}, about)
