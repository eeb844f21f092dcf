"""The registry of feature spaces, backbones and systems, and what a configuration makes of it."""

import ast
import re
from copy import deepcopy

import pytest
import yaml

from nsdrecon.datasets import data_files
from nsdrecon.diffusion import settings as sampler_settings
from nsdrecon.errors import InputError
from nsdrecon.extensions import source
from nsdrecon.run import FLOORS, Run
from nsdrecon.systems import SAMPLERS, Registry, check_implementations, registry
from settings_in_process import SCHEMA, run_of
from workflow_runs import ROOT

LIBRARY = ROOT / "workflow/scripts/nsdrecon"
FULL = yaml.safe_load((ROOT / "config/config.yaml").read_text())
DDPM_DDIM = "DDPM - DDIM (Stable Diffusion)"


def run(rows: Registry | None = None, **sections: object) -> Run:
    """The run of a full configuration in which some settings of some sections are replaced."""
    config = deepcopy(FULL)
    for name, value in sections.items():
        config[name] = config.get(name, {}) | value if isinstance(value, dict) else value
    return run_of(config, rows or registry())


def extended(folder, text: str) -> Registry:
    """The registry with the rows of a user's file."""
    folder.mkdir(exist_ok=True)
    path = folder / "mine.py"
    path.write_text(f"from nsdrecon.systems import Backbone, Feature\n{text}")
    return registry([path])


# The registry


def test_each_sampler_that_there_is_makes_a_system_of_each_backbone():
    assert set(SAMPLERS) == set(sampler_settings.SAMPLERS)
    assert list(registry().systems) == ["vdvae", "sd-ddpm", "sd-ddim", "vd-ddpm", "vd-ddim"]
    assert registry().system("oracle-vd-ddim").title == "Versatile Diffusion, DDIM"
    assert registry().guidance("oracle-vd-ddim") == {"text": "vd-text", "vision": "vd-vision"}
    assert registry().guidance("vdvae") == {}


def test_a_ladder_of_oracles_gives_one_true_part_at_a_time():
    rows = registry()
    assert [name for name in rows.oracles if "vdvae" in name] == ["oracle-vdvae"]
    parts = {name: (row.start, row.features) for name, row in rows.oracles.items()}
    assert {name: part for name, part in parts.items() if "vd-ddim" in name} == {
        "oracle-vd-ddim": ("oracle-vdvae", True),
        "oracle-vd-ddim-start": ("oracle-vdvae", False),
        "oracle-vd-ddim-features": ("vdvae", True),
        "oracle-vd-ddim-seen": ("seen", False),
    }
    assert rows.guidance("oracle-vd-ddim-start") == rows.guidance("vd-ddim")
    found = run(systems=["vdvae"], oracles=["oracle-sd-ddpm-seen", "oracle-vd-ddim-features"])
    assert found.features == ["vdvae", "sd-text"]
    assert found.oracle_features == ["vdvae", "vd-text", "vd-vision"]
    assert found.oracle_titles["oracle-sd-ddpm-seen"] == (
        "Stable Diffusion, DDPM, oracle: started from the seen image, predicted features"
    )


def test_contrasts_differ_in_the_sampler_or_in_the_backbone_alone():
    rows = registry()
    assert rows.contrasts(rows.systems) == {
        DDPM_DDIM: ("sd-ddpm", "sd-ddim"),
        "DDPM - DDIM (Versatile Diffusion)": ("vd-ddpm", "vd-ddim"),
        "Stable - Versatile Diffusion (DDPM)": ("sd-ddpm", "vd-ddpm"),
        "Stable - Versatile Diffusion (DDIM)": ("sd-ddim", "vd-ddim"),
    }
    assert list(rows.contrasts(["sd-ddim", "vdvae", "sd-ddpm"])) == [DDPM_DDIM]


def test_what_rows_name_is_there_and_makes_no_job_depend_on_the_table():
    """Otherwise every row that is added would run everything again."""
    rows = registry()
    places = [row.encoder for row in rows.features.values()]
    places += [row.loader for row in rows.backbones.values()]
    for place in places:
        text = source(place).read_text()
        assert re.search(rf"^(class|def) {place.rpartition(':')[2]}\b", text, flags=re.MULTILINE)
        assert "nsdrecon.systems" not in re.findall(r"^(?:from|import) (\S+)", text, re.MULTILINE)
    scripts = (ROOT / "workflow/scripts").glob("*.py")
    assert not [path for path in scripts if "nsdrecon.systems" in path.read_text()]


def test_names_of_systems_stand_in_one_file():
    literal = re.compile(r"^(oracle-)?(sd|vd)-[a-z]")
    found = set()
    for path in [*LIBRARY.rglob("*.py"), *(ROOT / "workflow/scripts").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {path.name} if literal.match(node.value) else set()
    rules = [*(ROOT / "workflow/rules").glob("*.smk"), SCHEMA, ROOT / "workflow/Snakefile"]
    found |= {path.name for path in rules if re.search(r"[\"'(|](sd|vd)-", path.read_text())}
    assert found == {"systems.py"}


# A user's rows

OWN = """
def encode(nsd_id, seen, folder, *, batch_size, device): ...
class Whole:
    describe = load = condition = predict = encode = decode = full_precision = print
FEATURES = [Feature("glow", model="lamp", encoder=":encode", kind="vision")]
BACKBONES = [
    Backbone("two-words", "lamp", "Lamp", ":Whole", {"text": "sd-text", "vision": "glow"})
]
"""


def test_a_users_rows_come_after_those_of_the_library(tmp_path):
    rows = extended(tmp_path, OWN)
    assert list(rows.systems)[-2:] == ["two-words-ddpm", "two-words-ddim"]
    assert rows.backbone("oracle-two-words-ddim").loader == f"{tmp_path}/mine.py:Whole"
    assert rows.models == ["stable_diffusion", "versatile_diffusion", "lamp"]
    assert rows.checked_by("lamp") == ("backbone", f"{tmp_path}/mine.py:Whole")
    assert rows.checked_by("vdvae") == ("vdvae", None)
    assert list(rows.contrasts(["sd-ddim", "two-words-ddim"])) == ["Stable Diffusion - Lamp (DDIM)"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("decode =", "deocde =", "mine.py:Whole: found no method decode"),
        ("class Whole", "class Hole", "mine.py: found nothing with the name Whole"),
        ("def encode", "def code", "mine.py: found nothing with the name encode"),
        (":encode", "other.py:encode", "other.py: found no Python file"),
        ('"two-words"', '"vd"', "mine.py: vd: found a name that exists already"),
        ('"two-words"', '"oracle"', "mine.py: oracle: found a name that exists already"),
        ('"two-words"', '"Two words"', "mine.py: Two words: found the name 'Two words'"),
        ('Feature("glow"', 'Feature("vd-text"', "mine.py: vd-text: found a name that exists"),
        ('Feature("glow"', 'Feature("gram"', "mine.py: gram: found a name that exists"),
        ('"vision": "glow"', '"vision": "glwo"', "mine.py: two-words: found features glwo"),
        ('kind="vision"', 'kind="sound"', "mine.py: glow: found kind 'sound'"),
        ('model="lamp"', 'model="vdvae"', "mine.py: glow: found model vdvae"),
        ("    describe", "    1 / 0; describe", "mine.py: found ZeroDivisionError in line 5"),
        (":Whole", "no_such_package:Whole", "no_such_package: found No module named"),
    ],
)
def test_faults_of_a_users_rows_name_the_file_and_what_is_missing(tmp_path, old, new, said):
    assert old in OWN
    with pytest.raises(InputError, match=re.escape(said)):
        check_implementations(extended(tmp_path, OWN.replace(old, new)))


def test_a_users_model_needs_its_folder_its_penalty_and_settings_that_exist(tmp_path):
    rows = extended(tmp_path, OWN)
    lamp = {"models": FULL["models"] | {"lamp": {"folder": "lamps"}}}
    bright = {"regression": {"alpha": FULL["regression"]["alpha"] | {"glow": "loo"}}}
    used = run(rows, systems=["two-words-ddim"], **lamp, **bright)
    assert used.features == ["vdvae", "sd-text", "glow"]
    assert used.config["models"]["lamp"] == {"folder": "lamps"}
    with pytest.raises(InputError, match=r"models.lamp: found nothing"):
        run(rows, systems=["two-words-ddim"], **bright)
    with pytest.raises(InputError, match=r"regression.alpha.glow: found nothing"):
        run(rows, systems=["two-words-ddim"], **lamp)
    odd = extended(tmp_path / "odd", OWN.replace('"glow"})', '"glow"}, ("brightness",))'))
    with pytest.raises(InputError, match="settings of two-words: found brightness; expected keys"):
        run(odd, systems=["two-words-ddim"], **lamp, **bright)
    dim = OWN.replace('kind="vision")', 'kind="vision", settings=("shade",))')
    with pytest.raises(InputError, match="settings of glow: found shade; expected keys of latents"):
        run(extended(tmp_path / "dim", dim), systems=["two-words-ddim"], **lamp, **bright)
    run(rows, systems=["sd-ddim"])  # what is not used needs nothing


# What a configuration asks for


def test_a_run_decodes_the_features_that_guide_its_systems():
    assert run().features == ["vdvae", "sd-text", "vd-text", "vd-vision"]
    assert run().oracle_features == ["vdvae", "sd-text", "vd-text", "vd-vision"]
    small = run(systems=["sd-ddim"], oracles=[], evaluation={"repeats": [], "holdout": []})
    assert (small.systems, small.features) == (["vdvae", "sd-ddim"], ["vdvae", "sd-text"])
    assert (small.oracles, small.oracle_features, small.several) == ([], [], [])
    assert small.models == ["vdvae", "stable_diffusion"]
    several = run(systems=["sd-ddim"], oracles=[], stage2={"samples": 2})
    assert several.several == ["sd-ddim"]
    assert several.features == ["vdvae", "sd-text", "vd-vision"]
    assert several.models == ["vdvae", "stable_diffusion", "versatile_diffusion"]


def test_the_best_sample_is_a_system_that_its_own_network_does_not_score():
    brain = {"brain": {"best_of": ["sd-ddpm", "vdvae"]}}
    several = {"systems": ["sd-ddpm"], "oracles": [], "stage2": {"samples": 4}}
    found = run(**several, **brain)
    assert found.best == {"sd-ddpm-best": "sd-ddpm"}
    title = "Stable Diffusion, DDPM, best of 4 by the measured response"
    assert found.titles["sd-ddpm-best"] == title
    assert found.floor_titles["shuffled-sd-ddpm-best"] == f"{title}, shuffled brain"
    assert found.unscored == {"sd-ddpm-best": ["CLIP"]}
    assert "vd-vision" in found.extracted
    latents = run(**several, brain={**brain["brain"], "encoding": "vdvae"})
    assert (latents.unscored, latents.encoder[1]) == ({}, "vdvae")
    layer = run(**several, brain={**brain["brain"], "encoding": "AlexNet(5)"})
    assert layer.unscored == {"sd-ddpm-best": ["AlexNet(2)", "AlexNet(5)"]}
    assert layer.encoder[2]["network"]["name"] == "AlexNet(5)"
    with pytest.raises(InputError, match=r"brain\.encoding: found 'sd-text'|found sd-text"):
        run(**several, brain={**brain["brain"], "encoding": "sd-text"})
    with pytest.raises(InputError, match=r"brain.best_of: found stage2.samples: 1"):
        run(systems=["sd-ddpm"], oracles=[], **brain)


def test_analyses_of_systems_that_a_run_does_not_have_are_left_out():
    found = run(systems=["vdvae"], oracles=[])
    assert (found.repeats, found.holdout, found.holdout_features) == (["vdvae"],) * 3
    assert run(systems=["vd-ddim"]).captions == "vd-text"


def test_captions_are_needed_for_text_features_and_for_categories():
    alone = {"systems": ["vdvae"], "oracles": []}
    assert run(**alone).extracted == ["vdvae", "sd-text"]
    without = run(**alone, evaluation={"categories": None, "holdout": []})
    assert not without.needs_captions
    assert run(**alone).needs_captions


def test_titles_say_what_was_rescaled_by_the_test_set():
    found = run(systems=["sd-ddim"], oracles=["oracle-sd-ddim"], regression={"rescale": "test"})
    title = "Stable Diffusion, DDIM, rescaled by the test set"
    assert found.titles["sd-ddim"] == title
    assert found.oracle_titles["oracle-sd-ddim"] == f"{title}, oracle: true latents"
    assert found.floor_titles["shuffled-sd-ddim"] == f"{title}, shuffled brain"
    assert list(found.floor_titles) == [*FLOORS, "shuffled-vdvae", "shuffled-sd-ddim"]
    assert run().titles["sd-ddim"] == "Stable Diffusion, DDIM"


def test_sessions_are_those_that_each_subject_has():
    found = run(subjects=[1, 4])
    assert found.subjects == ["subj01", "subj04"]
    sessions = data_files(found).sessions
    assert {name: len(of) for name, of in sessions.items()} == {"subj01": 37, "subj04": 30}
    assert found.shards[0] == "1-of-2"
