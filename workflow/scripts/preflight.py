"""Say how much will travel and be stored, before anything starts."""

import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "0"  # sizes of models come from the hub; read when it is imported

from nsdrecon.logs import job_log
from nsdrecon.nsd import read_design, split_ids, trial_table
from nsdrecon.transfer.plan import model_plan, nsd_plan, preflight
from nsdrecon.transfer.s3 import nsd_bucket

with job_log(snakemake.log[0], snakemake.rule) as log:
    params = snakemake.params
    plan = list(model_plan(params.models))
    if params.files:
        images = {}
        for path, (subject, sessions) in params.images.items():
            design = read_design(snakemake.input.design)
            images[path] = design.n_shared
            if subject:
                images[path] = len(split_ids(trial_table(design, subject, sessions), "train"))
        bucket, root = nsd_bucket(params.cfg), params.cfg["nsd.root"]
        plan += nsd_plan(bucket, root, params.files, images, params.voxels)
    preflight(plan)
    log.info("%.3f GB are free on this disk", shutil.disk_usage(".").free / 1e9)
