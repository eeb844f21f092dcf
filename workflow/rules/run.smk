# What a run is made of: subjects, sessions, systems, features, shards, and their names.

from nsdrecon.metrics import source_files
import os

from nsdrecon.doctor.profile import slurm_facts
from nsdrecon.datasets import data_files
from nsdrecon.datasets.nsd import COCO_ANNOTATIONS, COCO_CAPTIONS
from nsdrecon.run import FLOORS, Run, shuffled
from nsdrecon.sources import (
    ModelFiles,
    folder_files,
    planned_models,
    records,
)
from nsdrecon.systems import BEST, CHOOSER, ORACLE, SCORING, SEEN, STAGE1


# Two runs share what they download and nothing else. A module statement may say otherwise.
pathvars:
    results=f"results/{config['run']['name']}",
    logs=f"logs/{config['run']['name']}",
    benchmarks="<results>/benchmarks",


RUN = Run(config, REGISTRY, results=workflow.pathvars.apply("<results>"))
DATA = data_files(RUN)
MODELS = ModelFiles(RUN)
SUBJECTS = RUN.subjects
SESSIONS = DATA.sessions
SYSTEMS = RUN.systems
# With the best of their samples.
SCORED = list(RUN.titles)
ORACLES = RUN.oracles
FEATURES = RUN.features
SHARDS = RUN.shards
METRICS = RUN.metrics
ARCHITECTURE = {
    key: value for key, value in config["models"]["vdvae"].items() if key != "checkpoint"
}
# Systems of stage 2, and their oracles, as regular expressions.
DIFFUSION = "|".join(name for name in REGISTRY.systems if name != STAGE1)
DIFFUSION_ORACLES = "|".join(name for name in REGISTRY.oracles if REGISTRY.backbone(name))
# Jobs find every model on the disk; only download_repository asks the hub.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
