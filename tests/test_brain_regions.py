"""Decoding from part of the brain: numbers of leaving images out, and the truth of a simulation."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from nsdrecon.brain.region_decoding import decode_regions, read_regions
from nsdrecon.data.latent_files import write_latents
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError
from nsdrecon.pages.figures.brain import regions_figure
from nsdrecon.regions import REGIONS, Region, volumes, with_own
from nsdrecon.ridge.responses import prepare_gram
from nsdsim.brain import Brain
from nsdsim.config import SimulationConfig, SubjectConfig
from nsdsim.experiment import stimulus_scene
from nsdsim.image_features import channel_maps
from nsdsim.scenes import draw_scene, scene_attributes
from small_brain import CONSTANT_VOXEL, LEFT, N_IMAGES, RIGHT, SHAPE, SmallBrain, write_betas
from small_nsd import AFFINE, write_volume

GRID = (1.0, 10.0, 100.0, 1000.0)
HALVES = (Region("left", "halves", (1, 2)), Region("right", "halves", (3,)))


@pytest.fixture
def brain(tmp_path):
    return SmallBrain(tmp_path)


@pytest.fixture
def halves(brain):
    labels = np.full(60, 3, dtype=np.int16)
    labels[LEFT] = np.arange(30) % 2 + 1
    return {"halves": brain.write_volume("halves", labels)}


def decoded(brain, regions, files):
    table = decode_regions(
        *(brain.path["gram"], brain.path["train"], {"vdvae": brain.path["latents"]}),
        *(regions, files),
        alpha_grid=GRID,
        resamples=200,
        seed=0,
        block=5,
    )
    assert table["subject"].unique().tolist() == ["subj01"]
    return table.set_index(["region", "voxels"])


def left_out_correlation(voxels, targets):
    """Mean correlation of each image with its prediction by the others, and the penalty."""
    alpha = RidgeCV(GRID).fit(voxels, targets).alpha_
    found = []
    for image in range(N_IMAGES):
        others = np.arange(N_IMAGES) != image
        model = Ridge(alpha).fit(voxels[others], targets[others])
        found.append(np.dot(predicted := model.coef_ @ voxels[image], targets[image]))
        found[-1] /= np.linalg.norm(predicted) * np.linalg.norm(targets[image])
    return np.mean(found), alpha


def test_scores_are_those_of_leaving_each_image_out(brain, halves):
    table = decoded(brain, HALVES, halves)
    voxels, targets = brain.standardised(), brain.targets()
    sets = {
        ("all", "all"): np.s_[:, :],
        ("left", "alone"): np.s_[:, LEFT],
        ("left", "without"): np.s_[:, RIGHT],
        ("right", "alone"): np.s_[:, RIGHT],
        ("right", "without"): np.s_[:, LEFT],
    }
    assert table.index.tolist() == list(sets)
    for name, part in sets.items():
        correlation, alpha = left_out_correlation(voxels[part], targets)
        assert table.loc[name, "alpha"] == alpha, name
        assert table.loc[name, "correlation"] == pytest.approx(correlation, abs=1e-5), name
    whole = table.loc[("all", "all"), "correlation"]
    np.testing.assert_allclose(table["difference"], table["correlation"] - whole, atol=1e-9)
    assert table["n_voxels"].tolist() == [59, 29, 30, 30, 29]
    assert CONSTANT_VOXEL in range(60)[LEFT]


def test_a_region_that_knows_nothing_is_at_chance(brain, halves):
    table = decoded(brain, HALVES, halves)
    nothing = table.loc[("right", "alone")]
    assert nothing["ci_low"] < 0 < nothing["ci_high"]
    assert table.loc[("left", "alone"), "ci_low"] > nothing["ci_high"]
    assert table.loc[("left", "without"), "difference_high"] < 0
    caption = regions_figure(table.reset_index(), brain.folder / "regions.png")
    assert f"mean of {N_IMAGES} images" in caption
    assert (brain.folder / "regions.png").stat().st_size > 10_000


def test_an_empty_region_is_named_and_left_out(brain, halves, caplog):
    table = decoded(brain, [*HALVES, Region("nowhere", "halves", (7,))], halves)
    assert "nowhere" not in table.index.get_level_values("region")
    assert "nowhere: no decoded voxel has labels (7,) of " in caplog.text


def test_a_region_of_all_voxels_leaves_none(brain, halves, caplog):
    table = decoded(brain, [Region("everything", "halves")], halves)
    assert table.index.tolist() == [("all", "all"), ("everything", "alone")]
    assert "everything, without: no voxel that varies" in caplog.text
    np.testing.assert_allclose(table["difference"], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones((4, 3, 6), dtype=np.int16), r"bad\.nii\.gz: found a volume of \(4, 3, 6\)"),
        (np.full(SHAPE, 1.5, dtype=np.float32), r"bad\.nii\.gz: found values that are not integer"),
        (np.zeros(SHAPE, dtype=np.int16), r"bad\.nii\.gz: found no region with a decoded voxel"),
        (None, r"bad\.nii\.gz: found no file"),
    ],
)
def test_bad_volumes_are_refused_by_name(tmp_path, labels, message):
    path = tmp_path / "bad.nii.gz"
    if labels is not None:
        write_volume(path, labels)
    index = np.argwhere(np.ones(SHAPE, dtype=bool)).astype(np.int32)
    voxels = Voxels(index, SHAPE, AFFINE, "betas.h5")
    with pytest.raises(InputError, match=message):
        read_regions([Region("V1", "bad", (1,))], {"bad": path}, voxels)


def test_own_regions_are_added_or_replace_those_of_nsd():
    own = {"V1": {"volume": "HCP_MMP1", "labels": [1]}, "MT": {"volume": "Kastner2015"}}
    rows = {region.name: region for region in with_own(own)}
    assert list(rows) == [*(region.name for region in REGIONS), "MT"]
    assert rows["V1"] == Region("V1", "HCP_MMP1", (1,))
    assert rows["MT"] == Region("MT", "Kastner2015")
    assert volumes(with_own(own))[-1] == "Kastner2015"


# One subject of the simulation, with images enough to see which region knows what.
SIMULATED = SimulationConfig(
    subjects=(SubjectConfig((20, 24, 18), 900),),
    n_sessions=2,
    trials_per_session=150,
    n_shared=6,
    n_unique=160,
    n_unseen=0,
)
EARLY, HIGHER = ("V1", "early"), ("ventral", "lateral", "parietal")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The table of a simulated subject: coarse layout, and what the scene means."""
    folder = tmp_path_factory.mktemp("simulated")
    scenes = [stimulus_scene(SIMULATED, nsd_id) for nsd_id in range(SIMULATED.n_stimuli)]
    maps = np.array([channel_maps(draw_scene(scene, 112)) for scene in scenes])
    attributes = [scene_attributes(scene) for scene in scenes]
    names = list(attributes[0])
    meaning = np.array([list(row.values()) for row in attributes], dtype=np.float32)
    brain = Brain(SIMULATED, "subj01")
    signals = brain.signals(maps, meaning, names)
    sessions = range(1, SIMULATED.n_sessions + 1)
    trials = np.concatenate([brain.trial_stimuli(session) for session in sessions])
    responses = np.concatenate([brain.session_betas(signals, n) for n in sessions], axis=1)
    responses = responses[brain.anatomy.general[brain.anatomy.brain]]
    nsd_id = np.unique(trials)
    betas = np.stack([responses[:, trials == image].mean(axis=1) for image in nsd_id])
    voxels = Voxels(
        np.argwhere(brain.anatomy.general).astype(np.int32), brain.anatomy.shape, AFFINE, "betas"
    )
    write_betas(folder / "train.h5", nsd_id, betas, voxels)
    prepare_gram(folder / "train.h5", folder / "gram.h5")
    latents = {
        "layout": maps[nsd_id, 0].reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)),
        "meaning": meaning[nsd_id],
    }
    for name, values in latents.items():
        write_latents(folder / f"{name}.h5", nsd_id, values, name)
    regions = [region for region in REGIONS if region.name in (*EARLY, *HIGHER)]
    labels = brain.anatomy.label_volumes()
    files = {
        name: write_volume(folder / f"{name}.nii.gz", labels[name]) for name in volumes(regions)
    }
    table = decode_regions(
        *(folder / "gram.h5", folder / "train.h5"),
        {name: folder / f"{name}.h5" for name in latents},
        *(regions, files),
        alpha_grid=(100, 1000, 10_000, 100_000),
        resamples=200,
        seed=0,
    )
    return table.set_index(["feature", "region", "voxels"])


def test_layout_comes_from_early_areas_and_meaning_from_higher_ones(simulated):
    alone = simulated.xs("alone", level="voxels")
    for early in EARLY:
        for higher in HIGHER:
            layout = alone.loc[("layout", early)], alone.loc[("layout", higher)]
            meaning = alone.loc[("meaning", early)], alone.loc[("meaning", higher)]
            assert layout[0]["ci_low"] > layout[1]["ci_high"], (early, higher)
            assert meaning[1]["ci_low"] > meaning[0]["ci_high"], (early, higher)


def test_more_is_lost_without_the_regions_that_know(simulated):
    lost = simulated.xs("without", level="voxels")["difference"]
    assert lost["layout", "early"] < lost["layout", "ventral"]
    assert lost["meaning", "ventral"] < lost["meaning", "early"]
