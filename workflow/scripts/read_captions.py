"""Write the captions of the pictures as an array."""

from nsdrecon.data.contract import write_captions
from nsdrecon.extensions import implementation
from nsdrecon.job import job

with job(snakemake, raw=True) as log:
    pictures, read = map(implementation, (snakemake.params.pictures, snakemake.params.captions))
    brought = pictures(snakemake.input.pictures)
    captions = read(snakemake.input.captions[0], brought)
    write_captions(captions, brought.n, snakemake.output[0])
    log.info("captions of %d of %d pictures", len(captions), brought.n)
