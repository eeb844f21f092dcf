import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from nsdrecon.errors import InputError
from nsdrecon.evaluation.agreement import sample_agreement
from nsdrecon.evaluation.ceilings import noise_ceiling
from nsdrecon.evaluation.floors import (
    flat_grey,
    mean_image,
    nearest_training_image,
    random_training_image,
    shuffled_order,
)
from nsdrecon.evaluation.published import other_images
from nsdrecon.evaluation.retrieval import retrieval_curve, retrieval_table
from nsdrecon.evaluation.similarity import correlation_matrix
from nsdrecon.evaluation.variants import (
    average_first_repeats,
    holdout_table,
    select_images,
    semantic_clusters,
    without_clusters,
)
from nsdrecon.metrics import configured_metrics
from nsdrecon.store import read_array, read_ids, read_table, write_arrays
from small_pictures import evaluated, write_clip, write_stimuli, write_system

TEST_ID = np.array([9, 4, 30, 12, 77, 5])
PIXELS = configured_metrics("brain-diffuser", [])
TRAINING_ID = np.array([100, 300, 200, 250])


def labels(path):
    with h5py.File(path) as file:
        return file.attrs["system"], file.attrs["subject"]


@pytest.fixture
def training(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    write_arrays(tmp_path / "train.h5", TRAINING_ID, {"images": images})
    return tmp_path / "train.h5"


def test_shuffling_gives_every_image_the_reconstruction_of_another():
    ids = np.sort(TEST_ID)
    order = shuffled_order(ids, subject="subj01", seed=0)
    assert sorted(order) == list(range(len(ids)))
    assert (order != np.arange(len(ids))).all()


def test_shuffling_depends_on_seed_and_subject():
    ids = np.arange(50)
    first = shuffled_order(ids, subject="subj01", seed=0).tolist()
    assert shuffled_order(ids, subject="subj01", seed=0).tolist() == first
    assert shuffled_order(ids, subject="subj02", seed=0).tolist() != first
    assert shuffled_order(ids, subject="subj01", seed=1).tolist() != first


def test_shuffling_needs_two_images():
    with pytest.raises(InputError, match="found 1 images; expected 2 or more"):
        shuffled_order(TEST_ID[:1], subject="subj01", seed=0)


@pytest.mark.parametrize("samples", [1, 2])
def test_the_shuffled_floor_is_the_score_of_another_images_reconstruction(tmp_path, samples):
    """The same table as for a file in which the pictures were exchanged."""
    ids = np.sort(TEST_ID)
    stimuli = write_stimuli(tmp_path / "test.h5", ids)
    system = write_system(tmp_path / "sd-ddpm.h5", ids, samples=samples)
    clip = {"name": "small", "weights": str(write_clip(tmp_path / "clip"))}
    metrics = configured_metrics("brain-diffuser", [clip])
    options = {"protocol_name": "brain-diffuser", "metrics": metrics}
    own = evaluated(
        system, stimuli, tmp_path / "own.tsv", shuffled=tmp_path / "floor.tsv", **options
    )
    order = shuffled_order(ids, subject="subj01", seed=0)
    labels = {"system": "shuffled-sd-ddpm", "subject": "subj01"}
    exchanged = {"images": read_array(system, "images", ids[order])}
    write_arrays(tmp_path / "exchanged.h5", ids, exchanged, labels)
    expected = evaluated(tmp_path / "exchanged.h5", stimuli, tmp_path / "expected.tsv", **options)
    found = read_table(tmp_path / "floor.tsv")
    pd.testing.assert_frame_equal(found, read_table(tmp_path / "expected.tsv"), atol=1e-6)
    assert len(found) == len(expected) == len(own) == samples * len(ids)
    assert found["PixCorr"].mean() < own["PixCorr"].mean() - 0.3


def test_mean_image(tmp_path, training):
    mean_image(training, TEST_ID, tmp_path / "mean.h5", subject="subj01")
    images = read_array(tmp_path / "mean.h5", "images")
    assert images.shape == (6, 1, 6, 6, 3)
    expected = np.rint(read_array(training, "images").mean(axis=0))
    np.testing.assert_array_equal(images, np.broadcast_to(expected, images.shape))
    assert labels(tmp_path / "mean.h5") == ("mean-image", "subj01")


def test_flat_grey(tmp_path):
    flat_grey(8, TEST_ID, tmp_path / "grey.h5", subject="subj02")
    images = read_array(tmp_path / "grey.h5", "images")
    assert images.shape == (6, 1, 8, 8, 3)
    assert np.unique(images).tolist() == [128]
    assert labels(tmp_path / "grey.h5") == ("flat-grey", "subj02")


def test_random_training_images_belong_to_the_test_image(tmp_path, training):
    test_id = np.arange(40)
    options = {"subject": "subj01", "seed": 0}
    random_training_image(training, test_id, tmp_path / "all.h5", **options)
    picked = read_array(tmp_path / "all.h5", "training_id", test_id)
    assert set(picked) == set(TRAINING_ID)
    images = read_array(tmp_path / "all.h5", "images", test_id)[:, 0]
    np.testing.assert_array_equal(images, read_array(training, "images", picked))
    random_training_image(training, test_id[[7, 3]], tmp_path / "two.h5", **options)
    np.testing.assert_array_equal(
        read_array(tmp_path / "two.h5", "training_id", np.array([7, 3])), picked[[7, 3]]
    )


def write_betas(path, nsd_id, betas):
    write_arrays(path, nsd_id, {"betas": betas.astype(np.float32)})
    return path


def nearest_images(folder, training, patterns, responses):
    """Ids of the training images that are picked, which go to ``nearest.h5``."""
    nearest_training_image(
        training,
        write_betas(folder / "train_betas.h5", TRAINING_ID, patterns),
        write_betas(folder / "test_betas.h5", TEST_ID, responses),
        folder / "nearest.h5",
        subject="subj01",
    )
    return read_array(folder / "nearest.h5", "training_id", TEST_ID)


def test_nearest_training_image_by_response(tmp_path, training):
    generator = np.random.default_rng(0)
    # Voxels of very different scale, one of them constant: the small ones must count as well.
    scale = np.array([100.0, 1, 1, 1, 1, 1, 0, 1])
    patterns = generator.normal(size=(4, 8)) * scale + 5
    wanted = np.array([2, 0, 1, 3, 3, 2])
    responses = patterns[wanted] + 0.05 * generator.normal(size=(6, 8)) * scale
    picked = nearest_images(tmp_path, training, patterns, responses)
    assert picked.tolist() == TRAINING_ID[wanted].tolist()
    np.testing.assert_array_equal(
        read_array(tmp_path / "nearest.h5", "images", TEST_ID)[:, 0],
        read_array(training, "images", picked),
    )


def test_nearest_training_image_is_standardised_by_training_alone(tmp_path, training):
    """Where standardising by the test responses would pick other images."""
    generator = np.random.default_rng(1)
    patterns = generator.normal(size=(4, 8))
    responses = generator.normal(size=(6, 8)) * np.geomspace(0.1, 10, 8) + 3

    def nearest(standard):
        zscores = [scipy.stats.zmap(betas, standard) for betas in (patterns, responses)]
        return TRAINING_ID[correlation_matrix(*zscores).argmax(axis=0)].tolist()

    assert nearest(patterns) != nearest(responses)
    picked = nearest_images(tmp_path, training, patterns, responses)
    assert picked.tolist() == nearest(patterns)


def test_nearest_training_image_needs_the_same_voxels(tmp_path, training):
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"test_betas\.h5: found 7 voxels; expected 8"):
        nearest_images(
            tmp_path, training, generator.normal(size=(4, 8)), generator.normal(size=(6, 7))
        )


def test_training_stimuli_without_the_nearest_image(tmp_path, training):
    generator = np.random.default_rng(0)
    other = np.array([1, 2, 3, 5])
    with pytest.raises(InputError, match=r"train\.h5: found no row for nsd_id"):
        nearest_training_image(
            training,
            write_betas(tmp_path / "train_betas.h5", other, generator.normal(size=(4, 8))),
            write_betas(tmp_path / "test_betas.h5", TEST_ID, generator.normal(size=(6, 8))),
            tmp_path / "nearest.h5",
            subject="subj01",
        )


def test_noise_ceiling():
    found = noise_ceiling(np.array([0.0, 1.0, 2.0]), np.array([3, 3]))
    np.testing.assert_allclose(found, [0, 75, 100 * 4 / (4 + 1 / 3)])
    mixed = noise_ceiling(np.array([1.0]), np.array([1, 2]))
    assert mixed[0] == pytest.approx(100 / 1.75)


@pytest.mark.parametrize(
    ("ncsnr", "repeats", "message"),
    [
        ([0.5], [3, 0], "repeats"),
        ([0.5], [], "repeats"),
        ([np.nan], [3], "ncsnr"),
        ([-1], [3], "ncsnr"),
    ],
)
def test_impossible_noise_ceilings(ncsnr, repeats, message):
    with pytest.raises(InputError, match=message):
        noise_ceiling(np.array(ncsnr), np.array(repeats))


@pytest.fixture
def test_responses(tmp_path):
    """Image 4 is shown three times, 9 twice, 5 four times; trials are not in order."""
    shown = np.array([5, 4, 9, 5, 4, 5, 9, 4, 5])
    trial = np.array([80, 10, 20, 30, 70, 50, 60, 40, 5])
    betas = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    with h5py.File(tmp_path / "betas.h5", "w") as file:
        file["trial_nsd_id"], file["trial"], file["trial_betas"] = shown, trial, betas
        file["voxel"], file["affine"] = np.arange(21).reshape(7, 3), np.eye(4)
        file.attrs["subject"] = "subj01"
    return tmp_path / "betas.h5", dict(zip(trial.tolist(), betas, strict=True))


def test_average_of_the_first_repeats(tmp_path, test_responses):
    path, by_trial = test_responses
    average_first_repeats(path, tmp_path / "two.h5", n_repeats=2, of=3)
    assert read_ids(tmp_path / "two.h5").tolist() == [4, 5]
    found = read_array(tmp_path / "two.h5", "betas")
    np.testing.assert_allclose(found[0], (by_trial[10] + by_trial[40]) / 2, rtol=1e-6)
    np.testing.assert_allclose(found[1], (by_trial[5] + by_trial[30]) / 2, rtol=1e-6)
    assert read_array(tmp_path / "two.h5", "repeats").tolist() == [2, 2]
    with h5py.File(tmp_path / "two.h5") as file:
        assert (file.attrs["subject"], file.attrs["averaged_repeats"]) == ("subj01", 2)
        assert file["voxel"].shape == (7, 3)


@pytest.mark.parametrize(
    ("n_repeats", "of", "message"),
    [(0, 3, "expected 1 to 3"), (3, 2, "expected 1 to 2"), (2, 5, "at most 4 repeats")],
)
def test_repeats_that_do_not_exist(tmp_path, test_responses, n_repeats, of, message):
    with pytest.raises(InputError, match=message):
        average_first_repeats(test_responses[0], tmp_path / "out.h5", n_repeats=n_repeats, of=of)


def write_features(path, nsd_id, centres, seed):
    """Caption features of three tokens around the given centres."""
    noise = np.random.default_rng(seed).normal(size=(len(nsd_id), 3, 4))
    tokens = np.asarray(centres)[:, None, None] * np.array([1.0, -1, 2, 0]) + 0.1 * noise
    latents = tokens.reshape(len(nsd_id), -1).astype(np.float32)
    write_arrays(path, nsd_id, {"latents": latents}, {"shape": (3, 4)})
    return path


@pytest.fixture
def caption_features(tmp_path):
    return (
        write_features(tmp_path / "train.h5", TRAINING_ID, [0, 5, 0, 9], 0),
        write_features(tmp_path / "test.h5", TEST_ID, [0, 5, 9, 9, 0, 5], 1),
    )


def test_semantic_clusters_and_what_is_held_out(caption_features):
    train, test = caption_features
    table = semantic_clusters(train, others=[test], n_clusters=3, seed=0)
    category = table.set_index("nsd_id")["category"]
    for together in ([100, 200, 9, 77], [300, 4, 5], [250, 30, 12]):
        assert category.loc[together].nunique() == 1
    assert category.nunique() == 3
    outside, inside = without_clusters(table, TEST_ID, [category[300]])
    assert (outside.tolist(), inside.tolist()) == ([9, 30, 12, 77], [4, 5])


def test_training_clusters_do_not_depend_on_test_captions(caption_features):
    train, test = caption_features
    alone = semantic_clusters(train, n_clusters=3, seed=0).set_index("nsd_id")
    both = semantic_clusters(train, others=[test], n_clusters=3, seed=0).set_index("nsd_id")
    pd.testing.assert_frame_equal(both.loc[np.sort(TRAINING_ID)], alone)


def test_some_images_of_a_file(caption_features, tmp_path):
    train, _ = caption_features
    select_images(train, np.array([300, 100]), tmp_path / "some.h5")
    with h5py.File(train) as file, h5py.File(tmp_path / "some.h5") as found:
        assert found["nsd_id"][()].tolist() == [100, 300]
        np.testing.assert_array_equal(found["latents"][()], file["latents"][:2])
        assert dict(found.attrs).keys() == dict(file.attrs).keys()
    with pytest.raises(InputError, match="no row for nsd_id 7"):
        select_images(train, np.array([7]), tmp_path / "some.h5")


def test_as_many_voxels_as_images_are_not_taken_for_images(tmp_path):
    voxels = np.arange(9).reshape(3, 3)
    arrays = {"betas": np.arange(9.0).reshape(3, 3), "repeats": np.arange(3), "voxel": voxels}
    write_arrays(tmp_path / "train.h5", np.array([1, 2, 3]), arrays)
    select_images(tmp_path / "train.h5", np.array([3, 1]), tmp_path / "some.h5")
    with h5py.File(tmp_path / "some.h5") as found:
        assert found["betas"][()].tolist() == [[0, 1, 2], [6, 7, 8]]
        assert found["repeats"][()].tolist() == [0, 2]
        np.testing.assert_array_equal(found["voxel"][()], voxels)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"simulated": True, "of_nsd": True, "test": "vision"}, "The data set is simulated: "),
        ({"simulated": False, "of_nsd": False, "test": ""}, "The data set is not NSD: "),
        ({"simulated": False, "of_nsd": True, "test": "vision"}, "A further test set, vision: "),
    ],
)
def test_published_rows_of_other_images_are_called_so(about, said):
    assert other_images(**about) == f"{said}the rows of published results are of other images."
    assert not other_images(simulated=False, of_nsd=True, test="")


def test_holdout_table_says_which_images_and_which_training():
    clusters = pd.DataFrame({"nsd_id": [1, 2, 3], "category": [0, 0, 1]})
    full = pd.DataFrame({"nsd_id": [1, 2, 3], "SSIM": [0.5, 0.6, 0.7]})
    table = holdout_table(full, full.assign(SSIM=0.1), clusters, [1])
    kinds = table.groupby(["training", "images"])["SSIM"].apply(list)
    assert kinds["all clusters", "left-out clusters"] == [0.7]
    assert kinds["clusters left out", "other clusters"] == [0.1, 0.1]


def test_held_out_clusters_that_make_no_split():
    table = pd.DataFrame({"nsd_id": [1, 2, 3], "category": [0, 0, 1]})
    with pytest.raises(InputError, match="clusters to hold out: found 7"):
        without_clusters(table, [1, 2, 3], [7])
    with pytest.raises(InputError, match="no cluster for nsd_id 8"):
        without_clusters(table, [1, 8], [0])
    with pytest.raises(InputError, match="0 of 2 images"):
        without_clusters(table, [1, 2], [1])


def test_clusters_of_too_few_or_double_images(tmp_path):
    train = write_features(tmp_path / "train.h5", TRAINING_ID, [0, 1, 2, 3], 0)
    with pytest.raises(InputError, match="found 4 images; expected 5 or more"):
        semantic_clusters(train, n_clusters=5, seed=0)
    with pytest.raises(InputError, match="nsd_id 100, 200, 250, 300 twice"):
        semantic_clusters(train, others=[train], n_clusters=2, seed=0)


def test_retrieval_curve():
    table = pd.DataFrame({"nsd_id": np.arange(5), "CLIP": [1.0, 1.0, 0.75, 0.5, 0.0]})
    curve = retrieval_curve(table, "CLIP", [2, 3, 5], resamples=200, seed=0)
    assert curve["accuracy"][0] == pytest.approx(table["CLIP"].mean())
    # s of 4 others told apart: C(s, 2) / C(4, 2) with s = 4, 4, 3, 2, 0.
    assert curve["accuracy"][1] == pytest.approx((1 + 1 + 1 / 2 + 1 / 6 + 0) / 5)
    assert curve["accuracy"][2] == pytest.approx(2 / 5)
    assert curve["chance"].tolist() == [1 / 2, 1 / 3, 1 / 5]
    assert (curve["ci_low"] < curve["accuracy"]).all()


def test_retrieval_table_goes_up_to_all_images():
    first = pd.DataFrame({"nsd_id": np.arange(7), "CLIP": np.arange(7) / 6})
    tables = [first.assign(subject="subj01", system=name) for name in ("vdvae", "sd-ddpm")]
    table = retrieval_table(tables, ["CLIP"], resamples=200, seed=0)
    assert table["system"].tolist() == ["vdvae"] * 3 + ["sd-ddpm"] * 3
    assert table["n_way"].tolist() == [2, 5, 7] * 2
    assert retrieval_table(tables, [], resamples=200, seed=0).empty


def test_retrieval_needs_identification():
    table = pd.DataFrame({"nsd_id": np.arange(5), "SSIM": [0.31, 0.4, 0.2, 0.1, 0.5]})
    with pytest.raises(InputError, match="two-way identification among all images"):
        retrieval_curve(table, "SSIM", [2], resamples=200, seed=0)
    with pytest.raises(InputError, match="expected CLIP"):
        retrieval_curve(table, "CLIP", [2], resamples=200, seed=0)


def test_samples_that_agree_and_samples_that_do_not(tmp_path):
    write_system(tmp_path / "close.h5", TEST_ID, samples=3, noise=10)
    write_system(tmp_path / "far.h5", TEST_ID, samples=3, noise=200)
    close, far = (
        sample_agreement(tmp_path / f"{name}.h5", PIXELS, protocol_name="brain-diffuser")
        for name in ("close", "far")
    )
    assert close["nsd_id"].tolist() == sorted(TEST_ID)
    assert close["PixCorr"].min() > 0.95
    assert far["PixCorr"].max() < 0.6
    assert (close["SSIM"] > far["SSIM"]).all()


def test_one_sample_cannot_agree(tmp_path):
    write_system(tmp_path / "made.h5", TEST_ID)
    with pytest.raises(InputError, match="found 1 sample"):
        sample_agreement(tmp_path / "made.h5", PIXELS, protocol_name="brain-diffuser")
