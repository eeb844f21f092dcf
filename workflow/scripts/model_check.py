"""Load every configured model once, strictly, before hours are spent on what it is used for."""

import pandas as pd

from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.logs import job_log
from nsdrecon.store import write_table
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig

BACKBONES = {"stable_diffusion": StableDiffusion, "versatile_diffusion": VersatileDiffusion}


def describe(model, part, network, source):
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"model": model, "part": part, "parameters": parameters, "source": str(source)}


with job_log(snakemake.log[0], snakemake.rule) as log:
    checkpoint = snakemake.input.checkpoint
    vdvae = load_vdvae(checkpoint, VDVAEConfig(**snakemake.params.architecture))
    rows = [describe("vdvae", "vdvae", vdvae, checkpoint)]
    for name, folders in snakemake.params.backbones.items():
        backbone = BACKBONES[name].load(**folders)
        rows.append(describe(name, "unet", backbone.unet, folders["folder"]))
        rows.append(describe(name, "vae", backbone.vae, backbone.spec.vae_folder))
    table = pd.DataFrame(rows)
    write_table(snakemake.output[0], table)
    log.info("\n%s", table.to_string(index=False))
