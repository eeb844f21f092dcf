"""Write the captions of the pictures that the user brought as an array."""

from nsdrecon.data.contract import read_captions, write_captions
from nsdrecon.data.pictures import pictures
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule) as log:
    brought = pictures(snakemake.input.pictures)
    captions = read_captions(snakemake.input.captions[0], brought)
    write_captions(captions, brought.n, snakemake.output[0])
    log.info("captions of %d of %d pictures", len(captions), brought.n)
