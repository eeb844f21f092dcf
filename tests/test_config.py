"""The configuration is checked before anything is planned, and says what is wrong."""

import copy
import re

import pytest

from minimal_runs import MINIMAL
from nsdrecon.errors import InputError
from nsdrecon.settings import complete_settings, read_schema
from nsdrecon.systems import registry
from workflow_runs import ROOT, copy_project, snakemake

REGISTRY = registry()
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml", REGISTRY)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("config") / "project")


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"subject": [1]}, "'subject' was unexpected"),
        ({"stage2": {"guidence": 5}}, "'guidence' was unexpected"),
        ({"stage2": {"guidance": "high"}}, "'high' is not of type 'number'"),
        ({"subjects": [9]}, "9 is greater than the maximum of 8"),
        ({"subjects": [1, 1]}, "has non-unique elements"),
        ({"systems": ["sd-plms"]}, "'sd-plms' is not one of"),
        ({"nsd": {"sessions": [1, 41]}}, "found 41; expected sessions 1 to 40"),
        ({"regression": {"rescale": "both"}}, "'both' is not one of"),
        ({"nsd": {"format": "nii.gz"}}, "nsd.volumes: found ranges, with nsd.format: nii.gz"),
        ({"nsd": {"keep_raw": True}}, "nsd.format: hdf5 and nsd.keep_raw: True"),
        ({"nsd": {"s3": {"endpoint": "http://a:b@c"}}}, "http://c: found a name or a password"),
        ({"downloads": {"mirrors": {"vdvea": []}}}, "found vdvea; expected some of vdvae, alexnet"),
        ({"downloads": {"mirrors": {"vdvae": ["http://x"]}}}, "'http://x' does not match"),
        ({"evaluation": {"protocol": "mine"}}, "'mine' is not one of"),
        ({"evaluation": {"networks": [{"name": "CLIP"}]}}, "'weights' is a required property"),
        ({"evaluation": {"categories": None}}, "None is not of type 'integer'"),
        ({"stage2": {"strength": 0.01}}, "with 50 steps runs none of them"),
        ({"latents": {"vdvae_layers": 76}}, "found 76; expected 1 to 75"),
        ({"models": {"vdvae": {"decoder_blocks": "1x2,4m2"}}}, "found '4m2'"),
    ],
)
def test_bad_settings_are_named(project, overlay, message):
    done = snakemake(project, "-n", overlays=(overlay,))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert message in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 40


@pytest.mark.parametrize("section", ["regression", "simulation"])
def test_settings_without_a_default_are_asked_for(section):
    settings = copy.deepcopy(MINIMAL)
    complete_settings(settings, SCHEMA)
    del settings[section]
    with pytest.raises(InputError, match=f"'{section}' is a required property"):
        complete_settings(settings, SCHEMA)


@pytest.mark.parametrize("name", ["..", "a/b", "", "_slurm", "Demo", "a b", "a.b", "<logs>"])
def test_a_name_of_a_run_is_one_plain_folder(name):
    with pytest.raises(InputError, match=r"run\.name: "):
        complete_settings({**MINIMAL, "run": {"name": name}}, SCHEMA)


def test_subject_outside_the_simulation_is_named(project):
    done = snakemake(project, "-n", overlays=("config/demo.yaml", {"subjects": [1, 5]}))
    assert done.returncode != 0
    assert "found 5; expected a subject of the simulation, 1 to 2" in done.stdout + done.stderr


def test_all_subjects_and_systems_at_full_size_are_planned(project):
    everything = {"subjects": list(range(1, 9)), "systems": list(REGISTRY.systems)}
    done = snakemake(project, "-n", "--quiet", "rules", overlays=(everything,))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["brain-diffuser", "mindeye"])
def test_each_protocol_takes_all_published_networks_and_its_own_weights(project, name):
    done = snakemake(project, "-n", overlays=({"evaluation": {"protocol": name}},))
    assert done.returncode == 0, done.stderr
    planned = set(re.findall(r"resources/models/([a-z0-9-]+)/\S+\.(?:pth|tar)", done.stdout))
    version = {"brain-diffuser": "v1", "mindeye": "v2"}[name]
    assert planned == {"alexnet", "inception-v3", f"efficientnet-b1-{version}", "swav"}
    assert "resources/models/clip-vit-large-patch14" in done.stdout


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
