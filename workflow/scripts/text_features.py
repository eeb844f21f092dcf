"""Text features of the captions of one shard of a subject's split."""

from nsdrecon.captions import captions_of
from nsdrecon.clip_features import sd_text_features, vd_text_features
from nsdrecon.devices import choose_device
from nsdrecon.latent_files import write_latents
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_stimulus_table, read_trials, split_ids
from nsdrecon.store import shard_ids

FEATURES = {"sd-text": sd_text_features, "vd-text": vd_text_features}

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    feature = snakemake.wildcards.feature
    device = choose_device(cfg["device"], snakemake.threads)
    seen = split_ids(read_trials(snakemake.input.trials), snakemake.params.split)
    nsd_id = shard_ids(seen, *snakemake.params.part)
    n_stimuli = len(read_stimulus_table(snakemake.input.stimulus_table))
    features = FEATURES[feature](
        nsd_id,
        captions_of(snakemake.input.captions, nsd_id, n_stimuli),
        snakemake.params.folder,
        batch_size=cfg["latents.batch_size"],
        device=device,
    )
    write_latents(snakemake.output[0], nsd_id, features, feature)
