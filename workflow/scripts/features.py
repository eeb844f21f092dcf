"""Features of one shard of seen images, or of their captions."""

from contextlib import ExitStack

from nsdrecon.data.captions import captions_of
from nsdrecon.data.latent_files import write_latents
from nsdrecon.data.nsd import read_stimulus_table, require_same_shared
from nsdrecon.devices import choose_device
from nsdrecon.extensions import implementation
from nsdrecon.job import job
from nsdrecon.store import open_rows, read_ids, shard_ids

with job(snakemake), ExitStack() as opened:
    how, params, files = snakemake.params.how, snakemake.params, snakemake.input
    device = choose_device(how["device"], snakemake.threads)
    nsd_id = shard_ids(read_ids(files.images), *params.part)
    if params.kind == "text":
        captions, *table = files.captions
        stimuli = read_stimulus_table(table[0]) if table else None
        if stimuli is not None:
            require_same_shared(nsd_id, params.split == "test", stimuli, table[0])
        seen = captions_of(captions, nsd_id, None if stimuli is None else len(stimuli))
    else:
        seen = opened.enter_context(open_rows(files.images, "images", nsd_id))
    features = implementation(params.encoder)(
        nsd_id,
        seen,
        params.folder,
        **params.settings,
        batch_size=how["latents.batch_size"],
        device=device,
    )
    write_latents(snakemake.output[0], nsd_id, features, snakemake.wildcards.feature)
