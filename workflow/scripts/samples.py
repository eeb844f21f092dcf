"""Mean, uncertainty and choice among the samples of every image of one diffusion system."""

from nsdrecon.clip_features import VisionEncoder
from nsdrecon.devices import choose_device
from nsdrecon.diffusion.samples import summarise_samples
from nsdrecon.job import job

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    device = choose_device(how["device"], snakemake.threads)
    encoder = VisionEncoder(
        snakemake.params.folder, resize=cfg["latents.vision_resize"], device=device
    )
    summarise_samples(
        snakemake.input.reconstructions,
        snakemake.input.predicted,
        snakemake.output[0],
        feature=snakemake.params.feature,
        encode=lambda images: encoder.encode(images).cpu().numpy(),
        batch_size=how["latents.batch_size"],
    )
