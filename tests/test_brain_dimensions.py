"""Few dimensions of the brain: the numbers of a singular value decomposition of the weights."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from nsdrecon.brain.dimensions import dimensions_table
from nsdrecon.errors import InputError
from nsdrecon.pages.figures.brain import dimensions_figure
from small_brain import N_IMAGES, SmallBrain

GRID = (10.0, 100.0)
SCORED = np.array([0, 14, 29])  # a tenth of the images, evenly spaced


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    return SmallBrain(tmp_path_factory.mktemp("brain"))


@pytest.fixture(scope="module")
def table(brain):
    latents = {"vdvae": brain.path["latents"]}
    options = {"alpha_grid": GRID, "resamples": 200, "seed": 0, "block": 5}
    return dimensions_table(brain.path["gram"], latents, **options)


def predictions(brain, alpha, n_dimensions):
    """Without intercept, from all voxels and the weights of scikit-learn."""
    fitted = np.setdiff1d(np.arange(N_IMAGES), SCORED)
    voxels, targets = brain.standardised(), brain.targets()
    weights = Ridge(alpha).fit(voxels[fitted], targets[fitted]).coef_.T
    directions = np.linalg.svd(weights, full_matrices=False)[0][:, :n_dimensions]
    new = voxels[SCORED] - voxels[fitted].mean(axis=0)
    return new @ directions @ directions.T @ weights, targets[SCORED] - targets[fitted].mean(axis=0)


def test_scores_are_those_of_the_first_singular_vectors(brain, table):
    assert table["n_dimensions"].tolist()[:4] == [1, 2, 5, 10]
    for row in table.itertuples():
        predicted, targets = predictions(brain, row.alpha, row.n_dimensions)
        together = predicted @ targets.T
        together /= np.linalg.norm(predicted, axis=1)[:, None] * np.linalg.norm(targets, axis=1)
        own = together.diagonal()
        assert row.correlation == pytest.approx(own.mean(), abs=1e-5), row.n_dimensions
        others = (together.sum() - own.sum()) / (len(own) * (len(own) - 1))
        assert row.floor == pytest.approx(others, abs=1e-5), row.n_dimensions
    assert (table["n_images"] == len(SCORED)).all()


def test_the_curve_is_drawn_and_more_dimensions_than_targets_add_nothing(table, tmp_path):
    last = table.set_index("n_dimensions")["correlation"]
    assert last.iloc[-1] == pytest.approx(last[20], abs=1e-6)
    assert "mean of 3 training images" in dimensions_figure(table, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_without_images_to_score_on_it_is_refused(brain, monkeypatch):
    monkeypatch.setattr("nsdrecon.brain.dimensions._SHARE", 0.01)
    with pytest.raises(
        InputError, match=r"gram\.h5: found 30 training images; expected 10 or more"
    ):
        dimensions_table(brain.path["gram"], {}, alpha_grid=GRID, resamples=100, seed=0)
