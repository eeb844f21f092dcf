"""Copy the shared images, which are everybody's test images, out of the stimulus file."""

from nsdrecon.data.nsd import read_design
from nsdrecon.data.stimuli import extract_stimuli
from nsdrecon.job import job

with job(snakemake):
    design = read_design(snakemake.input.design)
    extract_stimuli(
        snakemake.input.stimuli, design.nsd_id[0, : design.n_shared], snakemake.output[0]
    )
