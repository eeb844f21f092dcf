# What a run is made of: subjects, sessions, systems, features, shards, and their names.

from nsdrecon.metrics import as_params, configured_metrics, source_files
from nsdrecon.run import FLOORS, Run
from nsdrecon.systems import CHOOSER, ORACLE, SCORING, STAGE1

RUN = Run(config, REGISTRY)
SUBJECTS = RUN.subjects
SESSIONS = RUN.sessions
SYSTEMS = RUN.systems
ORACLES = RUN.oracles
FEATURES = RUN.features
SHARDS = RUN.shards
# What a GPU does in seconds, such as VDVAE images of the 982 test images, is not cut: the start of a
# job takes longer.
WHOLE = "1-of-1"
ARCHITECTURE = {
    key: value for key, value in config["models"]["vdvae"].items() if key != "checkpoint"
}
# Systems of stage 2, as a regular expression.
DIFFUSION = "|".join(name for name in REGISTRY.systems if name != STAGE1)
# What scores, a row a column, under this protocol; the networks among them have weights.
METRICS = [
    as_params(metric)
    for metric in configured_metrics(
        config["evaluation"]["protocol"], config["evaluation"]["networks"], config["extensions"]
    )
]
NETWORKS = [row for row in METRICS if "weights" in row]
PIXEL_METRICS = [row for row in METRICS if row not in NETWORKS]
