# What a run is made of: subjects, sessions, systems, features, shards, and their names.

from nsdrecon.errors import InputError
from nsdrecon import layout

# Which predicted features each system is guided by, besides the VDVAE's.
GUIDANCE = {
    "vdvae": [],
    "sd-ddpm": ["sd-text"],
    "sd-ddim": ["sd-text"],
    "vd-ddpm": ["vd-text", "vd-vision"],
    "vd-ddim": ["vd-text", "vd-vision"],
}

BACKBONES = {"sd": "stable_diffusion", "vd": "versatile_diffusion"}
FEATURE_MODELS = {
    "sd-text": "stable_diffusion",
    "vd-text": "versatile_diffusion",
    "vd-vision": "versatile_diffusion",
}

ARCHITECTURE = {
    key: value for key, value in config["models"]["vdvae"].items() if key != "checkpoint"
}

SUBJECTS = [f"subj{number:02d}" for number in config["subjects"]]
# Stage 2 starts from the VDVAE's images, so that system is always there.
SYSTEMS = list(dict.fromkeys(["vdvae", *config["systems"]]))
# Analyses of systems that a run does not have are left out.
for analysis in ("repeats", "holdout"):
    config["evaluation"][analysis] = [s for s in config["evaluation"][analysis] if s in SYSTEMS]
# Which of several samples is kept is a matter of predicted vision features, whatever the backbone.
SEVERAL = [s for s in SYSTEMS if s != "vdvae" and config["stage2"]["samples"] > 1]
CHOICE = ["vd-vision"] if SEVERAL else []
FEATURES = list(dict.fromkeys(["vdvae", *(f for s in SYSTEMS for f in GUIDANCE[s]), *CHOICE]))
# Ceilings: the same models given the true latents of the test images instead of predicted ones.
ORACLES = list(dict.fromkeys(["oracle-vdvae", *config["oracles"]])) if config["oracles"] else []
ORACLE_FEATURES = list(
    dict.fromkeys(["vdvae", *(f for s in ORACLES for f in GUIDANCE[s.removeprefix("oracle-")])])
)
TITLES = {
    "vdvae": "VDVAE (stage 1)",
    "sd-ddpm": "Stable Diffusion, DDPM",
    "sd-ddim": "Stable Diffusion, DDIM",
    "vd-ddpm": "Versatile Diffusion, DDPM",
    "vd-ddim": "Versatile Diffusion, DDIM",
}
# Predictions rescaled by the test set make one image's result depend on the others: said wherever
# such a system is named.
if config["regression"]["rescale"] == "test":
    TITLES = {system: f"{title}, rescaled by the test set" for system, title in TITLES.items()}
SYSTEM_TITLES = {system: TITLES[system] for system in SYSTEMS}
ORACLE_TITLES = {
    oracle: f"{TITLES[oracle.removeprefix('oracle-')]}, oracle: true latents" for oracle in ORACLES
}
SAMPLES_FIGURES = [
    f"results/figures/samples_{subject}_{system}.png" for subject in SUBJECTS for system in SEVERAL
]
SHARDS = [f"{i + 1}-of-{config['shards']}" for i in range(config["shards"])]
# What a GPU does in seconds, such as VDVAE images of the 982 test images, is not cut: the start of a
# job takes longer.
WHOLE = "1-of-1"


def _sessions_of(number):
    return layout.resolve_sessions(
        config["nsd"]["sessions"], _available(number), f"subj{number:02d}"
    )


def _available(number):
    if config["nsd"]["source"] != "simulated":
        return layout.SESSIONS[number]
    simulated = len(config["simulation"]["subjects"])
    if number > simulated:
        raise InputError(
            "config: subjects",
            found=number,
            expected=f"a subject of the simulation, 1 to {simulated}",
        )
    return config["simulation"]["n_sessions"]


SESSIONS = {f"subj{number:02d}": _sessions_of(number) for number in config["subjects"]}
