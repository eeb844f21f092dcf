"""The configuration is checked before anything is planned, and says what is wrong."""

import copy
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from minimal_runs import MINIMAL
from nsdrecon.errors import InputError
from nsdrecon.mistakes import plainly, readable
from nsdrecon.settings import complete_settings, read_schema
from nsdrecon.sources import DOWNLOADED, ModelFiles
from settings_in_process import REGISTRY, SCHEMA, looked_at
from workflow_runs import copy_project, snakemake, started

MINE = "mine.yaml"


@dataclass(frozen=True)
class Fault:
    """Settings laid over config/config.yaml, and what is said of them."""

    settings: dict
    said: str
    over: tuple[str, ...] = field(default=())


FAULTS = [
    Fault({"subject": [1]}, "subject: found a key that does not exist; .* mean subjects?"),
    Fault({"stage2": {"guidence": 5}}, "stage2.guidence: .* Did you mean stage2.guidance?"),
    Fault({"guidance": 5}, "guidance: found a key that does not exist; .* mean stage2.guidance?"),
    Fault({"stage2": {"guidance": "high"}}, "found 'high'; expected a number of 0 or more"),
    Fault({"stage2": None}, r"stage2: found nothing \(null\); expected a section of settings"),
    Fault({"shards": 0}, "shards: found 0; expected a whole number of 1 or more"),
    Fault({"subjects": ["subj01"]}, r"subjects\[0\]: found 'subj01'; .* Did you mean 1\?"),
    Fault({"subjects": [1.0]}, r"subjects\[0\]: found 1.0; expected a whole number"),
    Fault({"nsd": {"sessions": 2.0}}, "nsd.sessions: found 2.0; expected"),
    Fault({"subjects": [9]}, "subjects: found 9; expected subjects of NSD, 1 to 8"),
    Fault({"subjects": [1, 1]}, r"found \[1, 1\]; expected a list of different whole numbers"),
    Fault({"systems": ["sd-plms"]}, "found 'sd-plms'; .* Did you mean sd-ddpm?"),
    Fault({"systems": "vd-ddim"}, "found 'vd-ddim'; expected a list of some of vdvae, sd-ddpm"),
    Fault({"brain": {"rois": {"mine": {}}}}, "brain.rois.mine.volume: found nothing"),
    Fault({"brain": {"surfaces": {"lh": "{sub}.mgz"}}}, r"surfaces: found .*\(KeyError: 'sub'\)"),
    Fault({"nsd": {"sessions": [1, 41]}}, "found 41; expected sessions 1 to 40"),
    Fault({"regression": {"alpha": {"vdvae": -1}}}, "found -1; .* number of 0 or more, or loo"),
    Fault({"regression": {"rescale": "both"}}, "found 'both'; expected one of loo, test, none"),
    Fault({"nsd": {"format": "nii.gz"}}, "nsd.volumes: found ranges, with nsd.format: nii.gz"),
    Fault({"nsd": {"keep_raw": True}}, "nsd.format: hdf5 and nsd.keep_raw: True"),
    Fault({"nsd": {"s3": {"endpoint": "http://a:b@c"}}}, "http://c: found a name or a password"),
    Fault({"nsd": {"s3": {"endpoint": "ftp://there"}}}, "found scheme 'ftp'; expected https:// or"),
    Fault({"downloads": {"mirrors": {"vdvea": []}}}, "found vdvea; expected some of vdvae, alexn"),
    Fault({"downloads": {"mirrors": {"vdvae": ["http://x"]}}}, r"found 'http://x'; .* \^https://"),
    Fault({"evaluation": {"protocol": "mine"}}, "found 'mine'; expected one of brain-diffuser"),
    Fault(
        {"evaluation": {"networks": [{"name": "CLIP"}]}}, r"networks\[0\].weights: found nothing"
    ),
    Fault(
        {"evaluation": {"networks": [{"name": "alexnet 2", "weights": "mine.pth"}]}},
        r"a name that stands for the metric 'AlexNet\(2\)' alone",
    ),
    Fault(
        {"evaluation": {"networks": [{"name": r"CLIP}\input{/etc/passwd}", "weights": "mine"}]}},
        "evaluation metrics: found the title .*; expected letters, digits, blanks and any of",
    ),
    Fault({"nsd": {"mask": "../../mine"}}, r"nsd.mask: found '../../mine'; expected a text that"),
    Fault(
        {"evaluation": {"categories": None}},
        r"evaluation.categories: found nothing \(null\), with evaluation.holdout",
    ),
    Fault({"evaluation": {"held_out": [20]}}, "held_out: found 20; expected clusters from 0 to 19"),
    Fault({"stage2": {"strength": 0.01}}, "with 50 steps runs none of them"),
    Fault({"latents": {"vdvae_layers": 76}}, "found 76; expected 1 to 75"),
    Fault({"models": {"vdvae": {"decoder_blocks": "1x2,4m2"}}}, "found '4m2'"),
    Fault(
        {"subjects": [1, 5]},
        "found 5; expected a subject of the simulation, 1 to 2",
        ("config/demo.yaml",),
    ),
    Fault(
        {"simulation": {"n_unique": 3000}},
        "simulation.trials_per_session: found 240; expected 3120 to 9120",
        ("config/demo.yaml",),
    ),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("config") / "project")


@pytest.mark.parametrize("fault", FAULTS, ids=[str(fault.settings) for fault in FAULTS])
def test_bad_settings_are_named(fault):
    with pytest.raises(InputError, match=fault.said) as found:
        looked_at(*fault.over, fault.settings)
    assert len(str(found.value).splitlines()) == 1
    assert len(str(found.value)) < 500


def test_the_file_of_a_mistake_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / MINE).write_text("stage2: {guidence: 5}")
    (tmp_path / "over.yaml").write_text("stage2: {steps: 5}")
    settings = copy.deepcopy(MINIMAL) | {"stage2": {"guidence": 5, "steps": 5}, "shards": "many"}
    with pytest.raises(InputError) as found:
        complete_settings(settings, read_schema(SCHEMA, REGISTRY), [tmp_path / "over.yaml", MINE])
    said = str(found.value)
    assert "found 2 mistakes" in said
    assert f"\n  {MINE}: stage2.guidence: found" in said
    # It comes from no file.
    assert "\n  shards: found 'many'" in said


def test_the_file_of_a_setting_that_fits_no_other_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / MINE).write_text("evaluation: {categories: null}")
    said = r"^Error: mine\.yaml: evaluation\.categories: found nothing"
    with pytest.raises(SystemExit, match=said), plainly([tmp_path / MINE]):
        looked_at({"evaluation": {"categories": None}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb: 2\n", "mine.yaml, line 2: found no YAML"),
        ("a: 1\n\tb: 2\n", "mine.yaml, line 2: found no YAML"),
        ("settings", "mine.yaml: found 'settings'; expected keys with values"),
        ("", r"mine.yaml: found nothing \(null\); expected keys"),
    ],
)
def test_files_that_hold_no_settings_are_named(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / MINE).write_text(text)
    with pytest.raises(SystemExit, match=rf"^Error: {said}"), plainly([MINE]):
        readable(MINE)


def test_what_a_condition_of_the_schema_requires_is_described():
    settings = copy.deepcopy(MINIMAL) | {"nsd": {}}
    said = "nsd.source: found nothing; expected one of s3, local, simulated: `s3` downloads NSD"
    with pytest.raises(InputError, match=said):
        complete_settings(settings, read_schema(SCHEMA, REGISTRY))
    settings["dataset"] = {"kind": "glmsingle"}
    with pytest.raises(InputError, match=r"glmsingle: found nothing; .*: GLMsingle's files"):
        complete_settings(settings, read_schema(SCHEMA, REGISTRY))


def test_bad_settings_end_a_run_in_one_line(project):
    done = snakemake(project, "-n", overlays=({"stage2": {"guidence": 5}},))
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if "found" in line)
    assert line.startswith("Error: overlay-0.yaml: stage2.guidence: found a key")
    assert "Traceback" not in done.stderr
    assert ".smk" not in done.stderr


def test_a_person_who_stops_the_planning_sees_one_line(project):
    (project / "stopped.py").write_text("raise KeyboardInterrupt")
    with started(project, "-n", overlays=({"extensions": ["stopped.py"]},)) as process:
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in errors


@pytest.mark.parametrize("section", ["regression", "simulation"])
def test_settings_without_a_default_are_asked_for(section):
    schema = read_schema(SCHEMA, REGISTRY)
    settings = copy.deepcopy(MINIMAL)
    complete_settings(settings, schema)
    del settings[section]
    with pytest.raises(InputError, match=f"{section}: found nothing"):
        complete_settings(settings, schema)


@pytest.mark.parametrize("name", ["..", "a/b", "", "_slurm", "Demo", "a b", "a.b", "<logs>"])
def test_a_name_of_a_run_is_one_plain_folder(name):
    with pytest.raises(InputError, match=r"run\.name: "):
        complete_settings({**MINIMAL, "run": {"name": name}}, read_schema(SCHEMA, REGISTRY))


def test_all_subjects_and_systems_at_full_size_are_planned(project):
    everything = {"subjects": list(range(1, 9)), "systems": list(REGISTRY.systems)}
    done = snakemake(project, "-n", "--quiet", "rules", overlays=(everything,))
    assert done.returncode == 0, done.stderr
    assert "nsd.terms_accepted is false: a run stops" in done.stdout


@pytest.mark.parametrize("name", ["brain-diffuser", "mindeye"])
def test_each_protocol_takes_all_published_networks_and_its_own_weights(name):
    models = ModelFiles(looked_at({"evaluation": {"protocol": name}}))
    files, folders = models.sources("networks")
    version = {"brain-diffuser": "v1", "mindeye": "v2"}[name]
    names = ["alexnet", "inception-v3", f"efficientnet-b1-{version}", "swav"]
    assert [Path(path).parent for path in files] == [Path(DOWNLOADED) / name for name in names]
    assert folders == ["resources/models/clip-vit-large-patch14"]
    assert set(files) <= set(models.downloads()[0])


def test_parsing_imports_nothing_heavy(project):
    heavy = ("torch", "diffusers", "transformers", "pandas", "nibabel", "scipy")
    # Snakemake and its plugins may have imported some of them themselves.
    (project / "workflow/imports.smk").write_text(
        "import sys\n"
        "before = set(sys.modules)\n"
        "include: 'Snakefile'\n"
        f"print('HEAVY', [name for name in {heavy} if name in set(sys.modules) - before])\n"
    )
    done = snakemake(project, "-n", "--quiet", "all", "--snakefile", "workflow/imports.smk")
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr
