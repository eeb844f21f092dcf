from nsdrecon.closure import code_fingerprint
from nsdrecon.diffusion.settings import Sampling
from nsdrecon.errors import InputError
from nsdrecon.vdvae.config import VDVAEConfig
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
# The graphs are drawn again when a rule changes.
RULE_FILES = ["workflow/Snakefile", *sorted(map(str, Path("workflow/rules").glob("*.smk")))]
SHARDS = [f"{i + 1}-of-{config['shards']}" for i in range(config["shards"])]


def code(script):
    """Fingerprint of a script and of the library modules it imports, for a rule's params."""
    return code_fingerprint(SCRIPTS / f"{script}.py", SCRIPTS)


def settings(*keys):
    """The named configuration values alone, as one sorted dict, for a rule's params."""
    return {key: setting(key) for key in sorted(keys)}


def setting(key):
    """One configuration value; dots reach into sections."""
    value = config
    for part in key.split("."):
        value = value[part]
    return value


def scaled(amount):
    """A resource that grows with each attempt (retries are the profile's)."""
    return lambda wildcards, attempt: amount * attempt


def part(wildcards):
    """A shard's 0-based number and the number of shards, from its name."""
    number, _, count = wildcards.shard.partition("-of-")
    return int(number) - 1, int(count)


def sessions(wildcards):
    """The configured sessions of a subject, as two-digit strings."""
    return [f"{session:02d}" for session in SESSIONS[wildcards.subject]]


def nsd(key):
    """Path of a file of the data set, by its key in the bucket."""
    return f"{config['nsd']['root']}/{key}"


def nsd_betas(subject, session):
    """The volume of one session's betas."""
    version, space, kind = (setting(f"nsd.{name}") for name in ("betas", "space", "format"))
    return nsd(layout.betas_key(subject, session, version, space, kind))


def nsd_roi(subject, roi):
    """A volume of ROI labels."""
    return nsd(layout.roi_key(subject, roi, config["nsd"]["space"]))


def nsd_ncsnr(subject):
    """The map of the noise ceiling's signal-to-noise ratio."""
    return nsd(layout.ncsnr_key(subject, config["nsd"]["betas"], config["nsd"]["space"]))


def base(wildcards):
    """The subject himself, where a variant of his responses is decoded."""
    return wildcards.subject.partition("-")[0]


def own(path):
    """An input that a variant of a subject's responses shares with the subject himself."""
    return lambda wildcards: path.format(**{**dict(wildcards.items()), "subject": base(wildcards)})


def trained(path):
    """Weights of the subject, or those that were trained without some images."""

    def found(wildcards):
        names = dict(wildcards.items())
        names["subject"] = names["subject"].partition("-repeats")[0]
        return path.format(**names)

    return found


def parts(wildcards):
    """What the scores of a feature space are divided by: a VDVAE's layers, otherwise tokens."""
    if wildcards.feature != "vdvae":
        return None
    return {"architecture": ARCHITECTURE, "layers": config["latents"]["vdvae_layers"]}


def seen_images(wildcards):
    """Where the images lie whose latents are extracted: a subject's own, or everybody's test set."""
    if wildcards.latents == "oracle-latents":
        return "results/stimuli/test.h5"
    return f"results/{wildcards.subject}/stimuli/train.h5"


def seen_split(wildcards):
    """The split whose latents are extracted; the test split's are for oracles alone."""
    return "test" if wildcards.latents == "oracle-latents" else "train"


def decoded(feature):
    """What a system decodes: predictions from test responses, or an oracle's true latents."""

    def path(wildcards):
        oracle = wildcards.system.startswith("oracle-")
        folder = "oracle-latents" if oracle else "predictions"
        return f"results/{wildcards.subject}/{folder}/{feature}.h5"

    return path


def guidance(wildcards):
    """The features, besides the VDVAE's, that guide a diffusion system."""
    return GUIDANCE[wildcards.system.removeprefix("oracle-")]


def stage1_images(wildcards):
    """What a diffusion system starts from: the VDVAE's images, or those of the VDVAE's oracle."""
    oracle = "oracle-" if wildcards.system.startswith("oracle-") else ""
    return f"results/{wildcards.subject}/reconstructions/{oracle}vdvae.h5"


def feature_model(feature):
    """Folder of the model that a CLIP feature is made with."""
    return config["models"][FEATURE_MODELS[feature]]["folder"]


def backbone(wildcards):
    """Folders of a diffusion system's model: its own and that of an exchanged autoencoder."""
    name = wildcards.system.removeprefix("oracle-").partition("-")[0]
    return config["models"][BACKBONES[name]]


def sampling(wildcards):
    """Settings of the sampler, by the names of nsdrecon.diffusion.sampling.Sampling."""
    names = ("encoding", "guidance", "start", "steps", "strength", "variance")
    return {name: config["stage2"][name] for name in names}


def flows(wildcards):
    """Settings that only Versatile Diffusion has."""
    names = ["text_weight"] if wildcards.system.removeprefix("oracle-").startswith("vd-") else []
    return {name: config["stage2"][name] for name in names}


def folder_files(folder):
    """The files of a model's folder that a rule depends on.

    A folder that the workflow downloads is stood for by the record of its download: its files are
    not there yet when the jobs are planned for the first time.
    """
    if folder is None:
        return []
    if folder.startswith("resources/models/"):
        return [f"{folder}/downloaded.tsv"]
    kinds = {".json", ".safetensors", ".txt"}
    found = [path for path in Path(folder).rglob("*") if path.suffix in kinds]
    # Models prefer safetensors, and read these where there are none.
    safe = {path.parent for path in found if path.suffix == ".safetensors"}
    found += [path for path in Path(folder).rglob("*.bin") if path.parent not in safe]
    return sorted(map(str, found)) or [f"{folder}/config.json"]


def categories(wildcards):
    """The table of categories, where identification within them is asked for."""
    wanted = config["evaluation"]["categories"] is not None
    return f"results/{base(wildcards)}/categories.tsv" if wanted else []


def network_checks():
    """The check of the networks that score, if there are any."""
    return ["results/data/models/networks.tsv"] if NETWORKS else []


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


# Settings that contradict each other stop the run here, not hours later in the job that needs them.
VDVAEConfig(**ARCHITECTURE).n_latent_layers(config["latents"]["vdvae_layers"])
Sampling(**sampling(None))

SESSIONS = {f"subj{number:02d}": _sessions_of(number) for number in config["subjects"]}
