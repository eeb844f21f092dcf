"""The simulated dataset: files of NSD's form, and responses that depend on the pictures."""

import gzip
import struct

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.io

from nsdrecon import layout
from nsdrecon.data import nsd
from nsdrecon.errors import InputError
from nsdsim.brain import Brain
from nsdsim.config import SimulationConfig, SubjectConfig
from nsdsim.experiment import stimulus_scene
from nsdsim.files import write_experiment, write_session, write_subject
from nsdsim.scenes import caption_scene, draw_scene

TINY = SimulationConfig(
    seed=3,
    subjects=(SubjectConfig((16, 20, 14), 400), SubjectConfig((17, 19, 15), 360)),
    n_sessions=3,
    trials_per_session=18,
    n_shared=6,
    n_unique=20,
    n_unseen=2,
    n_dropout_voxels=3,
    n_constant_voxels=2,
)


SUBJECT = "subj02"


N_LABELS = {
    "nsdgeneral": 1,
    "prf-visualrois": 7,
    "prf-eccrois": 5,
    "floc-faces": 5,
    "floc-words": 5,
    "floc-places": 3,
    "floc-bodies": 4,
    "streams": 7,
}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    write_experiment(folder / "nsd", TINY, folder / "captions.npy", folder / "features.h5")
    write_subject(folder / "nsd", TINY, SUBJECT, folder / "features.h5")
    for session in (1, 2, 3):
        write_session(
            *(folder / "nsd", TINY, SUBJECT, session, folder / "features.h5"),
            formats=("nii.gz", "hdf5"),
        )
    return folder


@pytest.fixture(scope="session")
def root(dataset):
    return dataset / "nsd"


@pytest.fixture(scope="module")
def design(root):
    return scipy.io.loadmat(root / layout.DESIGN)


def volume(path):
    return np.asarray(nib.load(path).dataobj)


def roi(root, name):
    return volume(root / layout.roi_key(SUBJECT, name))


class TestExperiment:
    def test_design_counts_from_one_in_small_unsigned_integers(self, design):
        shapes = {"masterordering": (1, 54), "subjectim": (2, 28), "sharedix": (1, 6)}
        for name, shape in shapes.items():
            assert design[name].shape == shape
            assert design[name].dtype.kind == "u"
            assert design[name].dtype.itemsize <= 2
        assert design["subjectim"].min() == 1
        assert design["subjectim"].max() == TINY.n_stimuli
        assert design["masterordering"].min() >= 1
        assert design["masterordering"].max() <= TINY.n_images

    def test_shared_images_come_first_for_everyone(self, design):
        images = design["subjectim"]
        for row in images:
            np.testing.assert_array_equal(row[:6], design["sharedix"][0])
        own = images[:, 6:].ravel()
        assert len(set(own)) == own.size
        assert not set(own) & set(images[0, :6])

    def test_each_image_is_shown_as_often_as_planned(self, design):
        counts = np.bincount(design["masterordering"][0], minlength=TINY.n_images + 1)[1:]
        assert (counts[:6] == 3).all()
        assert (counts[6:] == 0).sum() == TINY.n_unseen
        assert set(counts[6:]) == {0, 1, 2, 3}
        assert counts.sum() == TINY.n_trials

    def test_repeats_are_spread_over_the_experiment(self, design):
        order = design["masterordering"][0]
        for image in range(1, 7):
            first, second, third = np.flatnonzero(order == image)
            assert first < 18 + 3
            assert 18 - 3 <= second < 36 + 3
            assert third >= 36 - 3

    def test_pattern_says_how_many_trials_a_session_has(self, design):
        pattern = design["stimpattern"]
        assert pattern.shape[:2] == (3, 12)
        np.testing.assert_array_equal(pattern.sum(axis=(1, 2)), 18)
        assert set(np.unique(pattern)) == {0, 1}
        assert not pattern[:, :, :3].any()
        assert not pattern[:, :, -4:].any()

    def test_library_reads_the_design(self, root):
        read = nsd.read_design(root / layout.DESIGN)
        trials = nsd.trial_table(read, SUBJECT, [1, 2, 3])
        assert trials["split"].value_counts().to_dict() == {"test": 18, "train": 36}
        for session in (1, 2, 3):
            np.testing.assert_array_equal(
                trials.loc[trials["session"] == session, "nsd_id"],
                Brain(TINY, SUBJECT).trial_stimuli(session),
            )

    def test_stimulus_table(self, root, design):
        table = pd.read_csv(root / layout.STIMULUS_TABLE, index_col=0)
        assert list(table.columns) == [
            *("cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000"),
            "shared1000",
            *(f"subject{number}" for number in range(1, 9)),
            *(f"subject{number}_rep{rep}" for number in range(1, 9) for rep in range(3)),
        ]
        np.testing.assert_array_equal(table["nsdId"], np.arange(TINY.n_stimuli))
        assert set(table["cocoSplit"]) <= {"train2017", "val2017"}
        assert table["cocoId"].is_unique
        assert set(np.flatnonzero(table["shared1000"]) + 1) == set(design["sharedix"][0])
        assert not table[[f"subject{number}_rep0" for number in range(3, 9)]].to_numpy().any()
        shown = design["subjectim"][1, design["masterordering"][0] - 1]
        for trial, stimulus in enumerate(shown, start=1):
            row = table.iloc[stimulus - 1]
            assert row["subject2"] == 1
            assert trial in [row[f"subject2_rep{rep}"] for rep in range(3)]
        assert np.count_nonzero(table.filter(like="subject2_rep")) == TINY.n_trials

    def test_stimuli_are_contiguous_and_drawn_from_their_scenes(self, root):
        with h5py.File(root / layout.STIMULI) as file:
            images = file["imgBrick"]
            assert images.shape == (TINY.n_stimuli, 425, 425, 3)
            assert images.dtype == np.uint8
            assert images.chunks is None
            assert images.compression is None
            assert images.id.get_offset() == 2048
            np.testing.assert_array_equal(images[7], draw_scene(stimulus_scene(TINY, 7), 425))

    def test_captions_are_unicode_with_empty_strings_for_missing_ones(self, dataset):
        captions = np.load(dataset / "captions.npy", allow_pickle=False)
        assert captions.shape == (TINY.n_stimuli, 5)
        assert captions.dtype == "<U250"
        there = captions != ""
        assert set(there.sum(axis=1)) == {3, 4, 5}
        assert (np.diff(there.astype(int), axis=1) <= 0).all()  # missing ones come last
        for nsd_id, row in enumerate(captions):
            assert [text for text in row if text] == list(
                caption_scene(stimulus_scene(TINY, nsd_id))[: there[nsd_id].sum()]
            )


class TestVolumes:
    @pytest.mark.parametrize("name", N_LABELS)
    def test_labels_follow_nsd(self, root, name):
        labels = roi(root, name)
        assert labels.shape == (17, 19, 15)
        assert labels.min() == -1
        assert set(np.unique(labels)) <= set(range(-1, N_LABELS[name] + 1))
        np.testing.assert_array_equal(labels == -1, roi(root, "nsdgeneral") == -1)
        assert not (labels[roi(root, "nsdgeneral") < 1] > 0).any()

    def test_mask_has_the_configured_size_and_lies_in_the_brain(self, root):
        general = roi(root, "nsdgeneral") > 0
        brain = volume(root / f"nsddata/ppdata/{SUBJECT}/func1pt8mm/brainmask.nii.gz")
        assert general.sum() == 360
        assert set(np.unique(brain)) == {0, 1}
        assert brain[general].all()

    def test_eccentricity_is_known_just_where_there_is_retinotopy(self, root):
        np.testing.assert_array_equal(roi(root, "prf-eccrois") > 0, roi(root, "prf-visualrois") > 0)

    def test_every_region_exists_at_the_default_size(self):
        config = SimulationConfig()
        for subject in config.subject_names:
            volumes = Brain(config, subject).anatomy.label_volumes()
            for name, count in N_LABELS.items():
                assert set(range(1, count + 1)) <= set(np.unique(volumes[name])), name

    def test_noise_ceiling_covers_the_brain(self, root):
        path = root / layout.ncsnr_key(SUBJECT)
        brain = volume(root / f"nsddata/ppdata/{SUBJECT}/func1pt8mm/brainmask.nii.gz") > 0
        for suffix in ("", "_split1", "_split2"):
            ratio = volume(path.with_name(f"ncsnr{suffix}.nii.gz"))
            assert np.isnan(ratio[~brain]).all()
            assert np.isnan(ratio[brain]).sum() >= TINY.n_constant_voxels
            assert (ratio[~np.isnan(ratio)] >= 0).all()
            assert np.nanmedian(ratio[roi(root, "nsdgeneral") > 0]) > 0.2


class TestBetas:
    @staticmethod
    def path(root, session, extension="nii.gz"):
        return root / layout.betas_key(SUBJECT, session, extension=extension)

    def test_nifti_holds_scaled_integers(self, root):
        path = self.path(root, 1)
        image = nib.load(path)
        assert image.shape == (17, 19, 15, 18)
        assert image.get_data_dtype() == np.int16
        np.testing.assert_allclose(image.header.get_zooms()[:3], 1.8, rtol=1e-6)
        with gzip.open(path) as stream:
            header = stream.read(348)
        assert struct.unpack_from("<fff", header, 108) == (352, 0, 0)  # offset, slope, intercept
        assert struct.unpack_from("<hh", header, 252) == (0, 1)  # qform_code, sform_code
        assert image.header.get_zooms()[3] == pytest.approx(4 / 3)
        percent = volume(path)[roi(root, "nsdgeneral") > 0] / 300
        assert 0.5 < percent.std() < 3
        assert 0.3 < percent.mean() < 3

    def test_nothing_outside_the_brain(self, root):
        brain = volume(root / f"nsddata/ppdata/{SUBJECT}/func1pt8mm/brainmask.nii.gz") > 0
        assert not volume(self.path(root, 2))[~brain].any()

    def test_hdf5_is_the_same_with_axes_reversed(self, root):
        for session in (1, 3):
            with h5py.File(self.path(root, session, "hdf5")) as file:
                betas = file["betas"]
                assert betas.dtype == np.int16
                assert betas.shape == (18, 15, 19, 17)
                assert betas.chunks == (18, 1, 1, 1)
                assert betas.compression is None
                assert self.path(root, session, "hdf5").read_bytes()[8] == 0  # superblock
                np.testing.assert_array_equal(betas[:].T, volume(self.path(root, session)))

    def test_some_voxels_are_silent_in_one_session_or_always(self, root):
        general = roi(root, "nsdgeneral") > 0
        silent = np.stack([~volume(self.path(root, k))[general].any(axis=1) for k in (1, 2, 3)])
        counts = np.bincount(silent.sum(axis=0), minlength=4)
        assert list(counts) == [360 - 5, TINY.n_dropout_voxels, 0, TINY.n_constant_voxels]

    def test_silent_voxels_are_counted_in_the_log(self, caplog, dataset, tmp_path):
        with caplog.at_level("INFO"):
            write_session(tmp_path, TINY, SUBJECT, 1, dataset / "features.h5")
        general = roi(dataset / "nsd", "nsdgeneral") > 0
        silent = [~volume(self.path(dataset / "nsd", k))[general].any(axis=1) for k in (1, 2)]
        dropped = (silent[0] & ~silent[1]).sum()
        assert f"of which {dropped} are zero in this session and 2 in all" in caplog.text

    def test_files_do_not_depend_on_order_or_on_each_other(self, dataset, tmp_path):
        features = dataset / "features.h5"
        for session in (3, 1):
            write_session(tmp_path, TINY, SUBJECT, session, features)
        write_subject(tmp_path, TINY, SUBJECT, features)
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(written) == 2 + 8 + 1 + 3
        for path in written:
            original = dataset / "nsd" / path.relative_to(tmp_path)
            assert path.read_bytes() == original.read_bytes(), path.name

    def test_sessions_and_subjects_have_their_own_noise(self, root, dataset, tmp_path):
        write_session(tmp_path, TINY, "subj01", 1, dataset / "features.h5")
        other = volume(tmp_path / layout.betas_key("subj01", 1))
        assert other.shape[:3] == (16, 20, 14)
        brain = roi(root, "nsdgeneral") == 0  # cortex that follows no stimulus
        noise = [volume(self.path(root, session))[brain].astype(float) for session in (1, 2)]
        noise = [values - values.mean(axis=1, keepdims=True) for values in noise]
        assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1


class TestConfig:
    def test_a_mapping_gives_the_same_as_the_class(self):
        mapping = {
            "seed": 3,
            "subjects": [
                {"shape": [16, 20, 14], "n_voxels": 400},
                {"shape": [17, 19, 15], "n_voxels": 360},
            ],
            "trials_per_session": 18,
            "n_shared": 6,
            "n_unique": 20,
            "n_unseen": 2,
            "n_dropout_voxels": 3,
            "n_constant_voxels": 2,
        }
        assert SimulationConfig.from_mapping(mapping) == TINY
        assert SimulationConfig.from_mapping({}) == SimulationConfig()

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({"n_sesions": 3}, r"simulation: found keys \['n_sesions'\]; expected keys among"),
            ({"seed": "one"}, r"simulation.seed: found 'one'; expected int"),
            ({"n_shared": True}, r"simulation.n_shared: found True; expected int"),
            ({"subjects": [{"shape": [16, 20, 14]}]}, r"found no \['n_voxels'\]"),
            ({"subjects": [5]}, r"simulation.subjects: found 5; expected a mapping"),
            ({"subjects": []}, r"simulation.subjects: found \(\); expected 1 to 8"),
            (
                {"subjects": [{"shape": [16, 20, 14], "n_voxels": 5000}]},
                r"found 5000 voxels in a volume of shape \(16, 20, 14\); expected 50 to \d+ voxels",
            ),
            ({"subjects": [{"shape": [16, 20], "n_voxels": 100}]}, r"found shape \(16, 20\)"),
            (
                {"trials_per_session": 20},
                r"trials_per_session: found 20; expected 420 to 1020 trials in all 3 sessions",
            ),
            ({"n_shared": 0}, r"simulation.n_shared: found 0; expected 1 or more"),
            ({"max_repeats": 4}, r"simulation.max_repeats: found 4; expected 2 or 3"),
            ({"noise_ceiling": 100}, r"simulation.noise_ceiling: found 100"),
            ({"n_dropout_voxels": 500}, r"simulation.n_dropout_voxels: found 500"),
        ],
    )
    def test_bad_sizes_are_named(self, mapping, message):
        with pytest.raises(InputError, match=message):
            SimulationConfig.from_mapping(mapping)

    def test_unknown_subject_and_session(self, dataset, tmp_path):
        features = dataset / "features.h5"
        with pytest.raises(InputError, match="found subj03; expected subj01, subj02"):
            write_subject(tmp_path, TINY, "subj03", features)
        with pytest.raises(InputError, match="found session 4; expected 1 to 3"):
            write_session(tmp_path, TINY, SUBJECT, 4, features)
        assert not list(tmp_path.iterdir())

    def test_features_of_another_dataset(self, dataset, tmp_path):
        with pytest.raises(
            InputError, match="50 stimuli of seed 3; expected 656 stimuli of seed 0"
        ):
            write_session(tmp_path, SimulationConfig(), "subj01", 1, dataset / "features.h5")
