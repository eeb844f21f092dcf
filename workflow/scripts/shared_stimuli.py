"""Copy the shared images, which are everybody's test images, out of the stimulus file."""

from nsdrecon.logs import job_log
from nsdrecon.nsd import read_design
from nsdrecon.stimuli import extract_stimuli

with job_log(snakemake.log[0], snakemake.rule):
    design = read_design(snakemake.input.design)
    extract_stimuli(
        snakemake.input.stimuli, design.nsd_id[0, : design.n_shared], snakemake.output[0]
    )
