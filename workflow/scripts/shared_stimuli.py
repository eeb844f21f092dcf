"""Copy the shared images, which are everybody's test images, out of the stimulus file."""

from nsdrecon.data.nsd import read_design
from nsdrecon.data.stimuli import extract_stimuli
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule):
    design = read_design(snakemake.input.design)
    extract_stimuli(
        snakemake.input.stimuli, design.nsd_id[0, : design.n_shared], snakemake.output[0]
    )
