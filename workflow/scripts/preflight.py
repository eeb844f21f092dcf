"""Say how much will travel and be stored, before anything starts."""

import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "0"  # sizes of models come from the hub; read when it is imported

from nsdrecon.layout import VOXEL_BYTES
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_design, split_ids, trial_table
from nsdrecon.transfer.plan import model_plan, nsd_plan, preflight
from nsdrecon.transfer.s3 import nsd_bucket
from nsdrecon.volumes import read_mask

with job_log(snakemake.log[0], snakemake.rule) as log:
    params = snakemake.params
    plan = list(model_plan(params.models, params.cfg["downloads.mirrors"]))
    if params.files:
        images = {}
        for path, (subject, sessions) in params.images.items():
            design = read_design(snakemake.input.design)
            images[path] = design.n_shared
            if subject:
                images[path] = len(split_ids(trial_table(design, subject, sessions), "train"))
        n_voxels = {mask: len(read_mask(mask)) for mask in snakemake.input.masks}
        ranges = {path: n_voxels[mask] * VOXEL_BYTES for path, mask in params.ranges.items()}
        bucket, root = nsd_bucket(params.cfg), params.cfg["nsd.root"]
        plan += nsd_plan(bucket, root, params.files, images, params.voxels, ranges)
    preflight(plan)
    log.info("%.3f GB are free on this disk", shutil.disk_usage(".").free / 1e9)
