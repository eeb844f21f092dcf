"""Load a diffusion model once, strictly, before hours are spent on what it is used for."""

import pandas as pd

from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.logs import job_log
from nsdrecon.store import write_table

BACKBONES = {"stable_diffusion": StableDiffusion, "versatile_diffusion": VersatileDiffusion}

with job_log(snakemake.log[0], snakemake.rule) as log:
    folders = snakemake.params.folders
    backbone = BACKBONES[snakemake.wildcards.model].load(**folders)
    parts = {
        "unet": (backbone.unet, backbone.spec.folder),
        "vae": (backbone.vae, backbone.spec.vae_folder),
    }
    rows = [
        {"part": part, "parameters": sum(p.numel() for p in network.parameters()), "folder": folder}
        for part, (network, folder) in parts.items()
    ]
    table = pd.DataFrame(rows)
    write_table(snakemake.output[0], table)
    log.info("\n%s", table.to_string(index=False))
