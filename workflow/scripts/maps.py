"""Maps of a subject's voxels, as volumes and as a figure."""

from nsdrecon.brain.maps import FeatureFiles, SubjectFiles, write_maps
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.pages.figures.brain import maps_figure
from nsdrecon.pages.figures.drawing import write_caption

with job(snakemake):
    files, outputs, how = snakemake.input, snakemake.output, snakemake.params.how
    features = dict(
        zip(
            snakemake.params.features,
            map(FeatureFiles, files.latents, files.weights),
            strict=True,
        )
    )
    maps = {"noise-ceiling": outputs.ceiling}
    for kind in ("importance", "encoding"):
        names = [f"{kind}-{feature}" for feature in features]
        maps |= dict(zip(names, outputs[kind], strict=True))
    write_maps(
        SubjectFiles(files.gram, files.betas, files.ncsnr),
        features,
        maps,
        device=choose_device(how["device"], snakemake.threads),
        block=how["regression.block"],
    )
    caption = maps_figure(maps, outputs.figure, subject=snakemake.wildcards.subject)
    write_caption(outputs.caption, caption)
