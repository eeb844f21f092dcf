"""Check a model's files and load it once, before hours are spent on what it is used for."""

import pandas as pd

from nsdrecon.logs import job_log
from nsdrecon.store import write_table
from nsdrecon.transfer.manifest import write_manifest
from nsdrecon.transfer.weights import check_own_files

# Each model's own libraries are imported where it is loaded: they take seconds.


def _vdvae(checkpoint, **architecture):
    from nsdrecon.vdvae.checkpoint import load_vdvae
    from nsdrecon.vdvae.config import VDVAEConfig

    yield _row("vdvae", load_vdvae(checkpoint, VDVAEConfig(**architecture)), checkpoint)


def _stable_diffusion(**folders):
    from nsdrecon.diffusion.stable_diffusion import StableDiffusion

    yield from _backbone(StableDiffusion.load(**folders))


def _versatile_diffusion(**folders):
    from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion

    yield from _backbone(VersatileDiffusion.load(**folders))


def _backbone(model):
    yield _row("unet", model.unet, model.spec.folder)
    yield _row("vae", model.vae, model.spec.vae_folder)


def _networks(protocol, networks):
    from nsdrecon.evaluation.networks import (
        FeatureExtractor,
        by_network,
        check_metrics,
        configured_metrics,
    )
    from nsdrecon.evaluation.protocols import protocol as named

    rules = named(protocol)
    metrics = configured_metrics(rules, networks)
    check_metrics(rules, metrics)
    for group in by_network(metrics):
        FeatureExtractor(group, rules)
        yield {"part": ", ".join(m.name for m in group), "source": group[0].weights}


def _row(part, network, source):
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"part": part, "source": source, "parameters": count}


LOADERS = {
    "networks": _networks,
    "stable_diffusion": _stable_diffusion,
    "vdvae": _vdvae,
    "versatile_diffusion": _versatile_diffusion,
}

with job_log(snakemake.log[0], snakemake.rule) as log:
    records = check_own_files(snakemake.params.own, snakemake.output.record)
    table = pd.DataFrame(LOADERS[snakemake.wildcards.model](**snakemake.params.model))
    write_manifest(snakemake.output.record, records)
    write_table(snakemake.output.parts, table)
    log.info("\n%s", table.to_string(index=False))
