"""The simulated brain: responses that depend on the pictures as those of the visual system do."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from nsdsim import image_features
from nsdsim.anatomy import FLOC_REGIONS, STREAMS
from nsdsim.brain import Brain, noise_ceiling_snr
from nsdsim.config import SimulationConfig, SubjectConfig
from nsdsim.experiment import stimulus_scene
from nsdsim.scenes import draw_scene, scene_attributes

# One subject with enough images to see what the voxels do.
LARGE = SimulationConfig(
    subjects=(SubjectConfig((26, 32, 24), 2000),),
    trials_per_session=150,
    n_unique=180,
    n_unseen=0,
)


@pytest.fixture(scope="module")
def large():
    """Brain, signals of all stimuli, and their scenes."""
    scenes = [stimulus_scene(LARGE, nsd_id) for nsd_id in range(LARGE.n_stimuli)]
    maps = np.array([image_features.channel_maps(draw_scene(scene, 112)) for scene in scenes])
    attributes = [scene_attributes(scene) for scene in scenes]
    values = np.array([list(row.values()) for row in attributes], dtype=np.float32)
    brain = Brain(LARGE, "subj01")
    return brain, brain.signals(maps, values, list(attributes[0])), scenes


class TestPixels:
    @staticmethod
    def grating(cycles, angle, side=128):
        y, x = np.mgrid[:side, :side] / side
        wave = np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)))
        return np.repeat((127 + 80 * wave)[..., None], 3, axis=-1).astype(np.uint8)

    @pytest.mark.parametrize("cycles", [5, 10, 20])
    @pytest.mark.parametrize("quarter", [0, 1, 2, 3])
    def test_a_grating_drives_its_own_energy_channel(self, cycles, quarter):
        maps = image_features.channel_maps(self.grating(cycles, quarter * np.pi / 4))
        energy = maps[3:, 8:20, 8:20].mean(axis=(1, 2))
        wanted = f"energy {cycles} cycles {quarter * 45} deg"
        assert image_features.ENERGY_CHANNELS[energy.argmax()] == wanted

    def test_energy_does_not_depend_on_phase(self):
        first = self.grating(10, 0)
        shifted = np.roll(first, 4, axis=1)
        maps = [image_features.channel_maps(image)[3:, 6:22, 6:22] for image in (first, shifted)]
        np.testing.assert_allclose(maps[0].mean(axis=(1, 2)), maps[1].mean(axis=(1, 2)), atol=0.01)

    def test_colour_is_local_and_opponent(self):
        image = np.full((128, 128, 3), 127, dtype=np.uint8)
        image[:64, 64:] = (200, 60, 60)  # red in the upper right
        maps = image_features.channel_maps(image)
        assert maps[1, :12, 16:].min() > 0.4
        assert abs(maps[1, 16:]).max() < 0.01
        assert abs(maps[2, :12, :12]).max() < 0.01


class TestResponses:
    def test_a_receptive_field_is_found_back(self):
        """Reverse correlation with random pictures finds where V1 voxels look."""
        config = SimulationConfig(subjects=(SubjectConfig((16, 20, 14), 400),))
        brain = Brain(config, "subj01")
        rng = np.random.default_rng(0)
        n_channels, grid = len(image_features.CHANNELS), image_features.GRID
        maps = np.repeat(rng.normal(size=(1500, 1, grid, grid)), n_channels, axis=1)
        names = list(scene_attributes(stimulus_scene(config, 0)))
        signals = brain.signals(maps.astype(np.float32), np.ones((1500, len(names))), names)
        x, y, _ = brain.receptive_fields
        cell = image_features.FIELD_OF_VIEW / grid
        centres = (np.arange(grid) + 0.5) * cell - image_features.FIELD_OF_VIEW / 2
        seen = (brain.anatomy.area == 0) & (np.hypot(x, y) < 3.5)
        distances = []
        for voxel in np.flatnonzero(seen):
            map_of_weights = np.tensordot(signals[voxel], maps[:, 0], axes=1)
            row, column = np.unravel_index(np.abs(map_of_weights).argmax(), (grid, grid))
            distances.append(np.hypot(centres[column] - x[voxel], -centres[row] - y[voxel]))
        assert np.median(distances) < 0.4

    def test_fields_follow_the_anatomy(self, large):
        brain, _, _ = large
        anatomy = brain.anatomy
        x, y, size = brain.receptive_fields
        early = anatomy.area >= 0
        assert (x[early & anatomy.right] <= 1e-9).all()  # the opposite half of the field
        assert (x[early & ~anatomy.right] >= -1e-9).all()
        ventral = np.isin(anatomy.visual_rois, (1, 3, 5))
        assert (y[ventral] >= -1e-9).all()  # the upper half
        eccentric = np.hypot(x, y)
        for area in range(4):
            inside = anatomy.area == area
            assert np.corrcoef(eccentric[inside], size[inside])[0, 1] > 0.5
        assert size[anatomy.area == 3].mean() > size[anatomy.area == 0].mean()
        labels = anatomy.eccentricity_rois
        assert eccentric[labels == 1].max() <= 0.5
        assert eccentric[labels == 5].min() > 4

    def test_signals_are_standardised(self, large):
        _, signals, _ = large
        np.testing.assert_allclose(signals.mean(axis=1), 0, atol=1e-4)
        np.testing.assert_allclose(signals.std(axis=1), 1, atol=1e-3)

    def test_noise_ceilings_are_realistic_and_estimated_well(self, large):
        brain, signals, _ = large
        sessions = range(1, LARGE.n_sessions + 1)
        betas = [brain.session_betas(signals, session) for session in sessions]
        stimuli = [brain.trial_stimuli(session) for session in sessions]
        ratios = noise_ceiling_snr(betas, stimuli)
        general = brain.anatomy.general[brain.anatomy.brain]
        ceiling = 100 * ratios**2 / (ratios**2 + 1 / 3)
        assert 35 < np.nanmedian(ceiling[0, general]) < 50
        assert np.nanmedian(ceiling[0, ~general]) < 10
        assert np.nanpercentile(ceiling[0, general], 95) > 65  # the long tail
        valid = ~np.isnan(ratios[:, general]).any(axis=0)
        estimated = ratios[0, general][valid]
        assert np.corrcoef(estimated, brain.signal_to_noise[valid])[0, 1] > 0.8
        assert np.corrcoef(ratios[1:, general][:, valid])[0, 1] > 0.5

    def test_noise_ceiling_of_known_responses(self):
        """Half signal, half noise: a ratio of 1."""
        rng = np.random.default_rng(0)
        stimuli = np.tile(np.arange(400), 3)
        signal = rng.normal(size=(20, 400))
        betas = signal[:, stimuli] + rng.normal(size=(20, 1200))
        ratios = noise_ceiling_snr([betas], [stimuli])
        np.testing.assert_allclose(ratios[0].mean(), 1, atol=0.05)

    def test_high_level_areas_know_the_category(self, large):
        brain, signals, scenes = large
        names = np.array([scene.category for scene in scenes])
        n_train = 160
        noisy = signals + np.random.default_rng(0).normal(size=signals.shape)
        high = noisy[brain.anatomy.stream >= 1 + STREAMS.index("ventral")].T
        decoder = RidgeClassifier(alpha=100).fit(high[:n_train], names[:n_train])
        assert decoder.score(high[n_train:], names[n_train:]) > 0.8  # chance: 1 in 18

    def test_regions_prefer_what_they_are_named_after(self, large):
        brain, signals, scenes = large
        people = np.array([any(o.kind == "person" for o in scene.objects) for scene in scenes])
        indoor = np.array([scene.indoor for scene in scenes])

        def preference(volume_name, condition):
            mean = signals[brain.anatomy.floc(volume_name) > 0].mean(axis=0)
            return mean[condition].mean() - mean[~condition].mean()

        assert set(FLOC_REGIONS) == {"floc-faces", "floc-words", "floc-places", "floc-bodies"}
        assert preference("floc-faces", people) > 0.3
        assert preference("floc-places", indoor) > 0.3
        assert preference("floc-faces", people) > preference("floc-places", people)
