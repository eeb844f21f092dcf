"""The table of metrics, and rows that a user's file adds to it."""

import pytest
import yaml

from nsdrecon.errors import InputError
from nsdrecon.extensions import implementation, source
from nsdrecon.metrics import (
    DISTANCE,
    IDENTIFICATION,
    METRICS,
    PROTOCOLS,
    PUBLISHED_COLUMNS,
    NetworkMetric,
    Score,
    as_params,
    check_added,
    configured_metrics,
    from_params,
    identification_names,
)
from workflow_runs import ROOT

PUBLISHED = [row.name for row in PUBLISHED_COLUMNS]
ALL_NETWORKS = [{"name": name, "weights": "file"} for name in PUBLISHED[2:]]
HEAD = "from nsdrecon.metrics import DISTANCE, NetworkMetric, PixelMetric, Score\n"
PSNR = HEAD + (
    'METRICS = [PixelMetric("PSNR", ":psnr", Score("higher"))]\ndef psnr(seen, made): return 1.0\n'
)


def entry(name, **more):
    return {"name": name, "weights": f"{name}.pth", **more}


def names(metrics):
    return [metric.name for metric in metrics]


@pytest.fixture
def written(tmp_path):
    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_every_row_names_what_is_there():
    for row in METRICS:
        assert callable(implementation(row.source)), row
        assert source(row.source).is_file()


def test_published_rows_and_kinds_of_scores_are_told_from_others():
    assert all(row.published for row in METRICS)
    assert not METRICS[-1].within_category().published
    assert not NetworkMetric("mine", ":mine").published
    assert Score("higher", miss=0.0, percent=True) == IDENTIFICATION
    assert Score("lower", miss=1.0, percent=False) == DISTANCE
    assert Score() == Score("higher", miss=0.0, percent=False)


def test_pictures_are_normalised_as_the_networks_were_trained():
    imagenet = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    clip = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    for row in METRICS:
        if isinstance(row, NetworkMetric):
            assert (row.mean, row.std) == (clip if row.name == "CLIP" else imagenet), row.name


def test_protocols_of_the_table_are_those_of_the_evaluation_and_of_the_schema():
    from nsdrecon.evaluation import protocols

    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    evaluation = schema["properties"]["evaluation"]["properties"]
    networks = evaluation["networks"]["items"]["properties"]
    assert tuple(protocols.PROTOCOLS) == PROTOCOLS
    assert tuple(evaluation["protocol"]["enum"]) == PROTOCOLS
    assert tuple(networks["protocol"]["enum"]) == PROTOCOLS


def test_names_of_metrics_stand_in_one_file():
    files = [
        path
        for kind in ("*.py", "*.smk", "*.yaml")
        for path in (ROOT / "workflow").rglob(kind)
        if any(f'"{name}"' in path.read_text() for name in PUBLISHED)
    ]
    assert [path.name for path in files] == ["metrics.py"]


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [("brain-diffuser", [224] * 6), ("mindeye", [256, 256, 342, 224, 255, 224])],
)
def test_published_metrics_are_those_of_their_protocol(protocol, sizes):
    metrics = configured_metrics(protocol, ALL_NETWORKS)
    assert names(metrics) == PUBLISHED
    assert [metric.size for metric in metrics[2:]] == sizes
    assert names(row for row in metrics if row.score.better == "lower") == ["EffNet-B", "SwAV"]
    assert identification_names(metrics) == PUBLISHED[2:6]


def test_networks_keep_the_order_of_the_configuration_and_their_protocol():
    entries = [entry("mine"), entry("CLIP"), entry("SwAV", protocol="mindeye")]
    assert names(configured_metrics("mindeye", entries)) == ["PixCorr", "SSIM", *names_of(entries)]
    metrics = configured_metrics("brain-diffuser", entries)
    assert names(metrics) == ["PixCorr", "SSIM", "mine", "CLIP"]
    # A name of nobody's stands for any CLIP, at the size that it has.
    assert (metrics[2].weights, metrics[2].size, metrics[2].sha256) == ("mine.pth", None, ())
    assert metrics[2].source.endswith(":clip")
    assert metrics[3].source.endswith(":clip_vit_l_14")


def names_of(entries):
    return [entry["name"] for entry in entries]


def test_rows_pass_through_the_parameters_of_a_rule():
    metrics = configured_metrics("mindeye", ALL_NETWORKS)
    assert [from_params(as_params(metric)) for metric in metrics] == metrics


@pytest.mark.parametrize("name", ["clip", "AlexNet (2)", "Eff-Net B", "SSIM", "pixcorr"])
def test_published_names_are_reserved(name):
    with pytest.raises(InputError, match="Give another network another name"):
        configured_metrics("brain-diffuser", [entry(name)])


@pytest.mark.parametrize("twice", [("small", "small"), ("small", "Small"), ("CLIP", "CLIP")])
def test_no_column_twice(twice):
    with pytest.raises(InputError, match="twice"):
        configured_metrics("brain-diffuser", [entry(name) for name in twice])


def test_features_are_compared_in_two_ways():
    assert {row.score for row in METRICS[3:]} == {IDENTIFICATION, DISTANCE}
    with pytest.raises(InputError, match=r"metric 'mine'.* expected IDENTIFICATION or DISTANCE"):
        NetworkMetric("mine", "networks:clip", Score("lower"))
    with pytest.raises(InputError, match="better='best'; expected higher or lower"):
        Score("best")


def test_rows_of_a_users_file(written):
    path = written(
        PSNR
        + 'METRICS.append(NetworkMetric("DINO", ":Dino", DISTANCE, size=64, layer="blocks.3"))\n'
        + "class Dino:\n"
        + "    def __init__(self, weights, device): pass\n"
        + "    def __call__(self, pixels): pass\n"
    )
    metrics = configured_metrics("mindeye", [entry("DINO"), entry("CLIP")], [path])
    assert names(metrics) == ["PixCorr", "SSIM", "PSNR", "DINO", "CLIP"]
    assert metrics[3].source == f"{path}:Dino"
    assert metrics[3].weights == "DINO.pth"
    assert implementation(metrics[2].source)(None, None) == 1.0
    # A network scores where the configuration gives its weights.
    assert names(configured_metrics("mindeye", [], [path])) == ["PixCorr", "SSIM", "PSNR"]


def test_a_users_file_may_name_another_layer_of_a_network_of_the_project(written):
    row = '"AlexNet(7)", "nsdrecon.evaluation.networks:alexnet", size=224, layer="classifier.5"'
    path = written(f"{HEAD}METRICS = [NetworkMetric({row})]\n")
    assert configured_metrics("mindeye", [entry("AlexNet(7)")], [path])[-1].layer == "classifier.5"


def test_a_size_of_another_protocol_alone_is_refused(written):
    row = '"DINO", ":Dino", size={"brain-diffuser": 224}'
    path = written(f"{HEAD}METRICS = [NetworkMetric({row})]\n")
    assert configured_metrics("brain-diffuser", [entry("DINO")], [path])[-1].size == 224
    with pytest.raises(InputError, match=r"'DINO': found size of brain-diffuser; .* mindeye too"):
        configured_metrics("mindeye", [entry("DINO")], [path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "mine.py: found ZeroDivisionError in line 1"),
        (PSNR.replace("PSNR", "Pix-Corr"), "mine.py: METRICS: found the name 'Pix-Corr', which"),
        (PSNR.replace("def psnr", "def other"), "mine.py: found nothing with the name psnr"),
        (PSNR.replace("(seen, made)", "(seen)"), "mine.py:psnr: found something that cannot be"),
        (PSNR.replace("def psnr(seen, made): return", "psnr ="), "mine.py:psnr: found something"),
        (PSNR.replace('Score("higher")', 'protocol="mine"'), "'PSNR': found protocol 'mine'"),
        (
            f'{HEAD}METRICS = [NetworkMetric("DINO", ":Dino")]\n'
            "class Dino:\n    def __init__(self, weights, device): pass\n",
            "mine.py:Dino: found no method __call__; expected one that takes pictures",
        ),
    ],
)
def test_rows_that_cannot_be_used_name_their_file(written, text, message):
    with pytest.raises(InputError, match=message):
        check_added([written(text)])


def test_two_files_with_one_name(written):
    paths = [written(PSNR), written(PSNR.replace('"PSNR"', '"psnr"'), "other.py")]
    with pytest.raises(InputError, match=r"other\.py: METRICS: found the name 'psnr'"):
        configured_metrics("mindeye", [], paths)
