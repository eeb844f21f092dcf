# What the rules share: fingerprints and settings for params, resources, paths and input functions.
#
# mem_mb and runtime of rules are those of a first attempt at full NSD. On CPU nodes mem_mb is 1.5 to 2
# times the peak that benchmarks/bench_sizes.py, bench_brought.py and bench_ridge.py --full measure, and
# 1000 at least, since Snakemake itself runs in a job twice; they fail where a peak is above what is
# asked for. bench_evaluation_job does so for evaluation, and `make rehearsal` for all jobs, with
# models and volumes at their true sizes and few images. Where a figure is the rehearsal's alone it
# says so: it ran on a CPU, where no CUDA takes memory. `features` and `vdvae_latents` hold all latents
# of a shard: what those of NSD's 8,860 training images of a subject take is added to it.
#
# Limits of rules with a GPU are for cards ten times slower than the one in nsdrecon/graph/rates.py and
# two shards a subject, so that a job works longer than it takes to load its model. Those of `features`,
# `samples`, `seen_features`, `evaluation`, `best_of` and `correlation` are 1.4 to 6 times what NSD's images
# would take on two CPU cores, at the rates of the rehearsal: .55 to .9 s a picture for CLIP ViT-L/14, .63 s
# for all six networks that score. No card is slower.

from functools import cache
from types import SimpleNamespace

import nsdrecon
from nsdrecon.ablations import ABLATIONS
from nsdrecon.closure import code_fingerprint, text_fingerprint
from nsdrecon.diffusion.settings import Sampling
from nsdrecon.extensions import source
from nsdrecon.settings import setting
from nsdrecon.vdvae.config import VDVAEConfig

SAMPLING = ("encoding", "guidance", "rounding", "start", "steps", "strength", "variance")
VARIANTS = r"-repeats\d|-holdout|-sessions\d+|-test-[a-z0-9_]+|-regions"
# Variants that have another value of one setting: what it is called, and the value.
ABLATED = {}
for name, values in RUN.ablations.items():
    # Only where they are asked for: each job of a cluster reads this.
    import pandas
    from snakemake.utils import Paramspace

    space = Paramspace(pandas.DataFrame({name: values}, dtype=object))
    names = [f"-{instance}" for instance in space.instance_patterns]
    ABLATED |= {variant: (name, value) for variant, value in zip(names, values)}


def code(script, *loaded):
    """The fingerprint of a rule's script as a param: each job of a cluster takes its own alone."""
    return lambda wildcards: fingerprint(script, *loaded)


@cache
def fingerprint(script, *loaded):
    """Fingerprint of a script, of the library modules it imports, and of files that it loads."""
    library = Path(nsdrecon.__file__).parents[1]
    return code_fingerprint(workflow.source_path(f"../scripts/{script}.py"), library, *loaded)


def partitions_file():
    """The site's partitions, beside the profile for SLURM; None where there is no such profile."""
    path = Path("profiles/slurm/partitions.yaml")
    return str(path) if path.is_file() else None


def rules_fingerprint(wildcards):
    """Fingerprint of all rule files, for what is drawn from the rules."""
    return text_fingerprint(workflow.sourcecache.open(file).read() for file in workflow.included)


# Which files a rule is given can depend on the configuration. Snakemake is not asked to compare them
# with those of last time (profiles/default): it would count shards. So where the other params do not
# tell, `inputs` does; no script reads it.


def settings(*keys):
    """The named configuration values alone, as one sorted dict, for a rule's params."""
    return {key: setting(config, key) for key in sorted(keys)}


def ablated(wildcards, *keys):
    """The same, with the other value that this variant has of one of them."""
    name, value = ABLATED.get(wildcards.variant, (None, None))
    own = {key for key in keys if name and f"{key}.".startswith(f"{ABLATIONS[name]}.")}
    return {key: value if key in own else found for key, found in settings(*keys).items()}


def folder(wildcards, *changing):
    """A subject's folder with what a variant is made of: of an ablation, its own where that changes."""
    name, _ = ABLATED.get(wildcards.variant, (None, None))
    shared = name and not ABLATIONS[name].startswith(changing)
    return f"<results>/{wildcards.subject}{'' if shared else wildcards.variant}"


def scaled(amount):
    """A resource that grows with each attempt (retries are the profile's)."""
    return lambda wildcards, attempt: amount * attempt


def part(wildcards):
    """A shard's 0-based number and the number of shards, from its name; the whole without one."""
    number, _, count = wildcards.get("shard", "1-of-1").partition("-of-")
    return int(number) - 1, int(count)


def of_shards(rule, wildcards):
    """Params of the rule that makes a file's shards, for the rule that joins them.

    Another number of shards gives them other names, of which Snakemake has no notes yet: with what they
    are made counts where they are joined.
    """
    own = {"how", "part", "split"}
    return {
        name: value(wildcards) if callable(value) else value
        for name, value in getattr(rules, rule).params.items()
        if name not in own
    }


def raw(path):
    """An output that is removed after its use, unless raw volumes are kept."""
    return path if DATA.keeps_volumes else temp(path)


def untracked(value):
    """A parameter of which a change reruns nothing: to Snakemake it may depend on the output.

    Rules call it ``how`` where it says how something is computed and not what.
    """
    return lambda wildcards, output: value


def shown(path, caption, category, **labels):
    """An output that `snakemake --report` shows, with a caption of workflow/report/."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)


def drawn(name, caption, category, **labels):
    """The outputs of a figure: the picture that is shown, the same as PDF, and its caption."""
    return {
        "figure": shown(f"<results>/figures/{name}.png", caption, category, **labels),
        "pdf": f"<results>/figures/{name}.pdf",
        "caption": f"<results>/figures/captions/{name}.txt",
    }


def sessions(wildcards):
    """The configured sessions of a subject, as two-digit strings."""
    return [f"{session:02d}" for session in SESSIONS[wildcards.subject]]


def trained_weights(wildcards):
    """The weights that decode a variant: other responses alone need no other training."""
    whose = f"<results>/{wildcards.subject}"
    if wildcards.variant in ABLATED:
        whose = folder(wildcards, ABLATIONS["alpha"])
    elif wildcards.variant.startswith(("-holdout", "-sessions")):
        whose += wildcards.variant
    return f"{whose}/weights/{wildcards.feature}.h5"


def parts(wildcards):
    """What the scores of a feature space are divided by: a VDVAE's layers, otherwise tokens."""
    if wildcards.feature != STAGE1:
        return None
    return {"architecture": ARCHITECTURE, "layers": config["latents"]["vdvae_layers"]}


def seen_images(wildcards):
    """The images whose latents are extracted: a subject's training images, or the test images."""
    subject = wildcards.get("subject")
    return f"<results>/{subject}/stimuli/train.h5" if subject else "<results>/stimuli/test.h5"


def decoded(feature):
    """What a system decodes: predictions from test responses, or an oracle's true latents."""

    def path(wildcards):
        oracle = REGISTRY.oracles.get(wildcards.system)
        if oracle and oracle.features:
            return f"<results>/oracle-latents/{feature}.h5"
        return f"{folder(wildcards, 'regression.')}/predictions/{feature}.h5"

    return path


def stage1_images(wildcards):
    """What a diffusion system starts from: the VDVAE's images; an oracle, perhaps from true ones."""
    oracle = REGISTRY.oracles.get(wildcards.system)
    start = oracle.start if oracle else STAGE1
    if start == SEEN:
        return "<results>/stimuli/test.h5"
    return f"{folder(wildcards, 'regression.')}/reconstructions/{start}.h5"


def responses(split):
    """The responses of a variant; ablations have none of their own, and other training no other test."""

    def path(wildcards):
        trained_otherwise = wildcards.variant.startswith(("-holdout", "-sessions"))
        if split == "test" and trained_otherwise:
            return f"<results>/{wildcards.subject}/betas/test.h5"
        return f"{folder(wildcards)}/betas/{split}.h5"

    return path


def feature(wildcards):
    """A feature space's row in the registry."""
    return RUN.feature(wildcards.feature)


def seen_split(wildcards):
    """The split of those images; the test split's latents are for oracles alone."""
    return "train" if wildcards.get("subject") else "test"


def seen_captions(wildcards):
    """Captions and the table of all stimuli, if any, where the encoder of a feature space reads them."""
    return DATA.caption_files if feature(wildcards).kind == "text" else []


def encoder_code(name):
    """Files of the encoder of a feature space: where a network that scores is one, those of both."""
    row = RUN.feature(name)
    return [source(place) for place in (row.encoder, *([row.scores] if name == SCORING else []))]


def backbone_folder(wildcards):
    """Folder of a diffusion system's model."""
    return config["models"][REGISTRY.backbone(wildcards.system).model]["folder"]


def sampling(wildcards):
    """Settings of the sampler, by the names of nsdrecon.diffusion.sampling.Sampling."""
    found = ablated(wildcards, *(f"stage2.{name}" for name in SAMPLING))
    return {key.partition(".")[2]: value for key, value in found.items()}


def own_settings(wildcards):
    """Settings that this backbone alone has."""
    return {name: config["stage2"][name] for name in REGISTRY.backbone(wildcards.system).settings}


def design(wildcards):
    """What trials are compared with, where one file has the design of all subjects; to be unpacked."""
    return {"design": DATA.design} if DATA.design else {}


def tested(wildcards):
    """The name of the test set that was decoded."""
    return wildcards.variant.removeprefix("-") if of_further_test(wildcards) else "test"


def tested_images(wildcards):
    """The pictures of that test set."""
    return f"<results>/stimuli/{tested(wildcards)}.h5"


def seen_features(wildcards):
    """What the networks see in them, where there are networks; to be unpacked."""
    path = f"<results>/seen-features/{tested(wildcards)}.h5"
    return {"seen_features": path} if RUN.networks else {}


def of_further_test(wildcards):
    """Whether another test set than the first is meant."""
    return wildcards.get("variant", "").startswith("-test-")


def categories(wildcards):
    """The table of categories, where identification within them is asked for; to be unpacked.

    An input that is left out is None to a script; one that is an empty list is not.
    """
    wanted = config["evaluation"]["categories"] is not None and not of_further_test(wildcards)
    return {"categories": f"<results>/{wildcards.subject}/categories.tsv"} if wanted else {}


def scored(wildcards):
    """What one job scores: a variant's system, or all that a subject has pictures of."""
    system = wildcards.get("system")
    return [system] if system else [*SCORED, *ORACLES, *FLOORS]


def varied_systems(curve):
    """The systems that a curve has the scores of."""
    return RUN.ablated if curve.startswith("ablation_") else getattr(RUN, curve)


def curve(name):
    """What a curve is drawn from: of each table of scores the value that varies, and the file."""
    return [
        (value, f"<results>/{subject}{variant}/evaluation/{scored}.tsv")
        for subject in SUBJECTS
        for value, variant in varied(name, subject)
        for system in varied_systems(name)
        for scored in (system, f"shuffled-{system}")
    ]


def varied(curve, subject):
    """The values of what varies, and the variants of a subject that have them."""
    if curve == "repeats":
        return [(n, f"-repeats{n}") for n in range(1, DATA.max_repeats + 1)]
    if curve == "learning":
        total = len(SESSIONS[subject])
        fewer = [n for n in sorted(config["evaluation"]["learning_sessions"]) if n < total]
        return [*((n, f"-sessions{n}") for n in fewer), (total, "")]
    tried = curve.removeprefix("ablation_")
    return [(value, variant) for variant, (name, value) in ABLATED.items() if name == tried]


# Settings that contradict each other stop the run here, not hours later in the job that needs them.
VDVAEConfig(**ARCHITECTURE).n_latent_layers(config["latents"]["vdvae_layers"])
for variant in ("", *ABLATED):
    Sampling(**sampling(SimpleNamespace(variant=variant)))
