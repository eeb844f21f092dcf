# What a run is made of: subjects, sessions, systems, features, shards, and their names.

from nsdrecon.metrics import source_files
from nsdrecon.run import FLOORS, Run
from nsdrecon.systems import CHOOSER, ORACLE, SCORING, STAGE1

RUN = Run(config, REGISTRY)
SUBJECTS = RUN.subjects
SESSIONS = RUN.sessions
SYSTEMS = RUN.systems
ORACLES = RUN.oracles
FEATURES = RUN.features
SHARDS = RUN.shards
METRICS = RUN.metrics
NETWORKS = RUN.networks
# What a GPU does in seconds, such as VDVAE images of the 982 test images, is not cut: the start of a
# job takes longer.
WHOLE = "1-of-1"
ARCHITECTURE = {
    key: value for key, value in config["models"]["vdvae"].items() if key != "checkpoint"
}
# Systems of stage 2, as a regular expression.
DIFFUSION = "|".join(name for name in REGISTRY.systems if name != STAGE1)
