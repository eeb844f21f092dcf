# What a run needs from outside: files of the data set and models, and the records of their downloads.
import os

from nsdrecon.doctor.profile import slurm_facts
from nsdrecon.errors import InputError, listing
from nsdrecon.transfer.catalogue import FILES
from nsdrecon.transfer.guards import require_https

WEIGHTS = {".th", ".pt", ".pth", ".tar", ".safetensors"}
DOWNLOADS = config["nsd"]["source"] == "s3"
BY_RANGES = DOWNLOADS and config["nsd"]["stimuli"] == "ranges"
VOXELS_BY_RANGES = DOWNLOADS and config["nsd"]["volumes"] == "ranges"
COCO_CAPTIONS = "resources/captions/coco.npy"
COCO_ANNOTATIONS = f"resources/models/coco-annotations/{FILES['coco-annotations'].name}"

if VOXELS_BY_RANGES and (config["nsd"]["format"] != "hdf5" or config["nsd"]["keep_raw"]):
    raise InputError(
        "nsd.volumes",
        found="ranges, with nsd.format: {format} and nsd.keep_raw: {keep_raw}".format(
            **config["nsd"]
        ),
        expected="hdf5, in which a voxel can be found, and no volumes to keep",
        remedy="Set nsd.format: hdf5 and nsd.keep_raw: false, or nsd.volumes: whole.",
    )

if config["nsd"]["s3"]["endpoint"] is not None:
    require_https(config["nsd"]["s3"]["endpoint"], own_server=True)

if unknown := set(config["downloads"]["mirrors"]) - set(FILES):
    raise InputError(
        "downloads.mirrors",
        found=listing(sorted(unknown)),
        expected=f"some of {listing(FILES, 20)}",
    )

# Jobs find every model on the disk; only download_repository asks the hub.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")


def raw(path):
    """An output that is removed after its use, unless raw volumes are kept."""
    return path if config["nsd"]["keep_raw"] else temp(path)


def untracked(value):
    """A parameter of which a change reruns nothing: to Snakemake it may depend on the output."""
    return lambda wildcards, output: value


def session_files(subject):
    """What is downloaded of all configured sessions of a subject: volumes, or their voxels."""
    if VOXELS_BY_RANGES:
        return [f"results/{subject}/betas/sessions/{s:02d}.h5" for s in SESSIONS[subject]]
    return [nsd_betas(subject, session) for session in SESSIONS[subject]]


def subject_files(subject):
    """The files that a run downloads for one subject alone, besides the sessions."""
    images = [f"results/{subject}/stimuli/train.h5"] if BY_RANGES else []
    return [nsd_roi(subject, config["nsd"]["mask"]), nsd_ncsnr(subject), *images]


def shared_files():
    """The files that a run downloads for all subjects."""
    table = [nsd(layout.STIMULUS_TABLE)] if RUN.needs_captions else []
    images = "results/stimuli/test.h5" if BY_RANGES else nsd(layout.STIMULI)
    return [nsd(layout.DESIGN), *table, images]


def used_models():
    """The models that a run needs, by name; all networks that score are one."""
    return [*RUN.models, *([SCORING] if NETWORKS else [])]


def model_sources(model):
    """Files and folders of a model, as two lists."""
    if model == STAGE1:
        return [config["models"]["vdvae"]["checkpoint"]], []
    if model != SCORING:
        return [], [config["models"][model]["folder"]]
    weights = list(dict.fromkeys(network["weights"] for network in NETWORKS))
    files = [path for path in weights if Path(path).suffix in WEIGHTS]
    return files, [path for path in weights if path not in files]


def models():
    """Files and folders of all models that a run needs, as two lists."""
    files, folders = zip(*map(model_sources, used_models()))
    return [list(dict.fromkeys(sum(kind, []))) for kind in (files, folders)]


def model_files(model):
    """The files of a model that a rule depends on."""
    files, folders = model_sources(model)
    return sum(map(folder_files, folders), files)


def own_files(model):
    """The files of a model that the user brought."""
    files, folders = model_sources(model)
    own = [path for path in files if not is_downloaded(path)]
    return sum((folder_files(path) for path in folders if not is_downloaded(path)), own)


def is_downloaded(path):
    """Whether a model's file or folder comes from the internet."""
    return path.startswith("resources/models/")


def records():
    """The records of everything that a run downloads."""
    files, folders = models()
    fetched = list(filter(is_downloaded, files))
    if RUN.needs_captions and config["nsd"]["captions"] == COCO_CAPTIONS:
        fetched.append(COCO_ANNOTATIONS)
    if DOWNLOADS:
        fetched += shared_files()
        for subject in SUBJECTS:
            fetched += [*subject_files(subject), *session_files(subject)]
    repositories = sum((folder_files(path) for path in folders if is_downloaded(path)), [])
    return [f"{path}.record.tsv" for path in fetched] + repositories


def model_settings(model):
    """What a model is loaded with, for the check of it."""
    if model == SCORING:
        return {"protocol": config["evaluation"]["protocol"], "networks": NETWORKS}
    return config["models"][model]


def own_captions():
    """The array of captions, if the user brought it."""
    captions = config["nsd"]["captions"]
    made = captions == COCO_CAPTIONS or config["nsd"]["source"] == "simulated"
    return [] if made or not RUN.needs_captions else [captions]


def temporary_files():
    """Downloads that are removed once they are used."""
    if config["nsd"]["keep_raw"] or VOXELS_BY_RANGES:
        return []
    return [path for subject in SUBJECTS for path in session_files(subject)]


def data_files():
    """What a run reads of the data set, by whose it is."""
    each = {subject: [*subject_files(subject), *session_files(subject)] for subject in SUBJECTS}
    return {"all subjects": shared_files(), **each}


def planned_images():
    """For each file of images by ranges, the subject and the sessions (None: shared images)."""
    if not BY_RANGES:
        return {}
    each = {f"results/{s}/stimuli/train.h5": (s, SESSIONS[s]) for s in SUBJECTS}
    return {"results/stimuli/test.h5": (None, None), **each}


def planned_ranges():
    """For each file of voxels by ranges, the mask."""
    if not VOXELS_BY_RANGES:
        return {}
    mask = config["nsd"]["mask"]
    return {path: nsd_roi(subject, mask) for subject in SUBJECTS for path in session_files(subject)}


def planned_keys():
    """For each file that is filled by ranges, the object that they come from."""
    voxels = {
        path: betas_key(subject, session)
        for subject in SUBJECTS
        for path, session in zip(session_files(subject), SESSIONS[subject])
    }
    images = dict.fromkeys(planned_images(), layout.STIMULI)
    return {**images, **(voxels if VOXELS_BY_RANGES else {})}


def planned_needs():
    """What a run downloads of the data set."""
    return {
        "root": config["nsd"]["root"],
        "files": data_files() if DOWNLOADS else {},
        "keys": planned_keys(),
        "images": planned_images(),
        "ranges": planned_ranges(),
        "voxels": planned_voxels() if DOWNLOADS else {},
    }


def planned_models():
    """For each download of a model or of captions, the file that is there when it is."""
    files, folders = (list(filter(is_downloaded, kind)) for kind in models())
    if RUN.needs_captions and config["nsd"]["captions"] == COCO_CAPTIONS:
        files.append(COCO_ANNOTATIONS)
    return {path: path for path in files} | {path: f"{path}/downloaded.tsv" for path in folders}


def brought():
    """By model: files and folders that the user brought, and the place of a backbone's class; and
    the captions."""
    found = {}
    for model in used_models():
        folders = [path for path in model_sources(model)[1] if not is_downloaded(path)]
        kind, place = REGISTRY.checked_by(model)
        loader = place if kind == "backbone" else None
        if own_files(model):
            found[model] = own_files(model), folders, loader
    return found | ({"captions": (own_captions(), [], None)} if own_captions() else {})


def planned_voxels():
    """For each volume that is removed after use, the file that stays, and its bytes if known."""
    if config["nsd"]["keep_raw"] or VOXELS_BY_RANGES:
        return {}
    known = (config["nsd"]["mask"], config["nsd"]["space"]) == ("nsdgeneral", "func1pt8mm")
    return {
        nsd_betas(subject, session): (
            f"results/{subject}/betas/sessions/{session:02d}.h5",
            layout.VOXELS[layout.subject_number(subject)] * layout.VOXEL_BYTES if known else 0,
        )
        for subject in SUBJECTS
        for session in SESSIONS[subject]
    }
