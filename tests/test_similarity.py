import itertools
import json
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nsdrecon.errors import InputError
from nsdrecon.evaluation import correlations, similarity
from nsdrecon.evaluation.similarity import (
    correlation_distance,
    correlation_matrix,
    identification_within_category,
    n_way_accuracy,
    told_apart,
    two_way_identification,
)

EXPECTED = json.loads((Path(__file__).parent / "golden/metrics/expected.json").read_text())


def random_features(n_images=40, n_features=300, noise=2.0, seed=0):
    """Features like those after a ReLU: sparse, not centred; reconstructions resemble their own."""
    generator = np.random.default_rng(seed)
    truth = np.maximum(generator.normal(size=(n_images, n_features)), 0) + 3
    made = truth + noise * generator.normal(size=truth.shape)
    return truth.astype(np.float32), made.astype(np.float32)


def exactly_told_apart(truth, made):
    """The definition in exact arithmetic, for integer features.

    r_ij < r_jj has the norm of the reconstruction on both sides; what is left, c / sqrt(v), is
    compared by sign(c) c^2 / v.
    """

    def centred(table):
        rows = [[Fraction(int(value)) for value in row] for row in table]
        return [[value - sum(row) / len(row) for value in row] for row in rows]

    truth, made = centred(truth), centred(made)

    def likeness(i, j):
        covariance = sum(a * b for a, b in zip(truth[i], made[j], strict=True))
        variance = sum(a * a for a in truth[i])
        if not variance or not any(made[j]):
            return None
        return covariance * abs(covariance) / variance

    result = np.zeros((len(truth), len(truth)), dtype=bool)
    for i, j in itertools.permutations(range(len(truth)), 2):
        other, own = likeness(i, j), likeness(j, j)
        result[i, j] = other is not None and own is not None and other < own
    return result


def test_two_way_identification_equals_the_published_evaluation():
    golden = EXPECTED["two_way"]
    truth, made = (np.array(golden[name]) for name in ("ground_truth", "reconstruction"))
    scores = two_way_identification(correlation_matrix(truth, made))
    np.testing.assert_allclose(scores, golden["per_reconstruction"], atol=1e-6)
    assert scores.mean() == pytest.approx(golden["mean"], abs=1e-6)
    expected = np.array(golden["correlation_distance"], dtype=float)
    assert np.isnan(expected).sum() == 1
    np.testing.assert_allclose(
        correlation_distance(correlation_matrix(truth, made)), expected, atol=1e-6
    )


SMALL = arrays(np.int64, (5, 3), elements=st.integers(-2, 2))


@given(SMALL, SMALL)
@settings(max_examples=200, deadline=None)
def test_identification_follows_its_definition(truth, made):
    """Values from -2 to 2 make ties and constant rows common."""
    expected = exactly_told_apart(truth, made)
    np.testing.assert_array_equal(told_apart(correlation_matrix(truth, made)), expected)
    scores = two_way_identification(
        correlation_matrix(truth.astype(np.float32), made.astype(np.float32))
    )
    np.testing.assert_allclose(scores, expected.sum(axis=0) / 4)


def test_correlations_equal_corrcoef():
    truth, made = random_features()
    expected = np.corrcoef(truth, made)[:40, 40:]
    np.testing.assert_allclose(correlation_matrix(truth, made), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("factor", "offset"), [(1.0, 1e4), (1.0, -30.0), (1e-25, 0.0), (1e25, 0.0), (1e-3, 1.0)]
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_correlations_whatever_the_units(factor, offset, kind):
    truth, made = ((factor * table + offset).astype(kind) for table in random_features())
    expected = np.corrcoef(truth.astype(np.float64), made.astype(np.float64))[:40, 40:]
    np.testing.assert_allclose(correlation_matrix(truth, made), expected, atol=1e-6)
    np.testing.assert_array_equal(
        told_apart(correlation_matrix(truth, made)), expected < np.diag(expected) - 1e-12
    )


@pytest.mark.parametrize("block", [1, 100, 4321])
def test_blocks_do_not_change_identification(monkeypatch, block):
    truth, made = random_features()
    whole = told_apart(correlation_matrix(truth, made))
    assert 0.5 < whole.mean() < 1
    monkeypatch.setattr(similarity, "_BLOCK_VALUES", block)
    np.testing.assert_array_equal(told_apart(correlation_matrix(truth, made)), whole)


def test_a_device_finds_the_same_correlations(monkeypatch):
    """By torch in blocks, with a constant row on either side."""
    truth, made = (
        np.random.default_rng(seed).standard_normal((6, 50), dtype=np.float32) for seed in (0, 1)
    )
    truth[2], made[4] = 3, -1
    monkeypatch.setattr(correlations, "_BLOCK_VALUES", 60)
    found = correlations.on_device(torch.from_numpy(truth), torch.from_numpy(made))
    np.testing.assert_allclose(found, correlation_matrix(truth, made), atol=1e-12)
    assert np.isnan(found).sum() == 11
    made[0, 0] = np.inf
    with pytest.raises(InputError, match="not finite"):
        correlations.on_device(torch.from_numpy(truth), torch.from_numpy(made))


def test_neighbours_below_the_rounding_of_float32_are_told_apart():
    truth, made = random_features(n_images=20)
    truth = truth.astype(np.float64)
    truth[10:] = truth[:10] + 1e-7 * np.random.default_rng(1).normal(size=(10, truth.shape[1]))
    correlation = np.corrcoef(truth, made)[:20, 20:]
    expected = correlation < np.diag(correlation)
    assert np.abs(correlation[10:, :10].diagonal() - correlation.diagonal()[:10]).max() < 1e-7
    np.testing.assert_array_equal(told_apart(correlation_matrix(truth, made)), expected)


def test_the_same_ground_truth_twice_is_a_tie_and_a_miss():
    truth, made = random_features(n_images=10, noise=0.1)
    assert two_way_identification(correlation_matrix(truth, made)).tolist() == [1.0] * 10
    truth[3] = truth[7]
    scores = two_way_identification(correlation_matrix(truth, made))
    assert scores[7] == pytest.approx(8 / 9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_reconstruction_is_a_miss(value):
    truth, made = random_features(n_images=6, noise=0.1)
    made[2] = value
    scores = two_way_identification(correlation_matrix(truth, made))
    assert scores[2] == 0
    assert scores[[0, 1, 3, 4, 5]].tolist() == [1.0] * 5
    assert np.isnan(correlation_distance(correlation_matrix(truth, made))).tolist() == [
        k == 2 for k in range(6)
    ]


def test_a_constant_ground_truth_is_never_told_apart():
    truth, made = random_features(n_images=6, noise=0.1)
    truth[2] = 0.3
    np.testing.assert_allclose(
        two_way_identification(correlation_matrix(truth, made)), [0.8, 0.8, 0, 0.8, 0.8, 0.8]
    )


def test_order_of_images_does_not_matter():
    truth, made = random_features()
    order = np.random.default_rng(2).permutation(len(truth))
    scores = two_way_identification(correlation_matrix(truth, made))
    np.testing.assert_array_equal(
        two_way_identification(correlation_matrix(truth[order], made[order])), scores[order]
    )


def test_reconstruction_is_fixed_and_ground_truths_vary():
    truth = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.9, 0.1, 0, 0]])
    made = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1.0, 0, 0, 0]])
    # Row 2 of the reconstructions is closest to ground truth 0; transposed, it would be right.
    assert two_way_identification(correlation_matrix(truth, made)).tolist() == [1.0, 1.0, 0.5]


def test_within_category_only_compares_with_the_category():
    truth, made = random_features(n_features=20, noise=5.0)
    category = np.array([*"ab" * 19, "c", "a"])
    scores = identification_within_category(correlation_matrix(truth, made), category)
    for name in ("a", "b"):
        rows = category == name
        expected = two_way_identification(correlation_matrix(truth[rows], made[rows]))
        np.testing.assert_array_equal(scores[rows], expected)
    assert np.isnan(scores[38])


@given(st.integers(2, 7), st.data())
@settings(max_examples=40, deadline=None)
def test_n_way_accuracy_is_the_share_of_distractor_sets(n_images, data):
    successes = data.draw(st.integers(0, n_images - 1))
    n_way = data.draw(st.integers(2, n_images))
    told = [k < successes for k in range(n_images - 1)]
    sets = list(itertools.combinations(told, n_way - 1))
    assert len(sets) == comb(n_images - 1, n_way - 1)
    share = np.array([successes / (n_images - 1)])
    expected = sum(all(chosen) for chosen in sets) / len(sets)
    assert n_way_accuracy(share, n_images, n_way)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "made", "message"),
    [
        (np.ones((3, 4)), np.ones((2, 4)), "3 ground truths and 2 reconstructions"),
        (np.ones((3, 4)), np.ones((3, 5)), r"shapes \(3, 4\) and \(3, 5\)"),
        (np.ones((1, 4)), np.ones((1, 4)), "found 1 images; expected 2 or more"),
        (np.full((3, 4), np.nan), np.ones((3, 4)), "not finite"),
        (np.full((3, 4), np.inf), np.ones((3, 4)), "not finite"),
    ],
)
def test_features_that_cannot_be_compared(truth, made, message):
    with pytest.raises(InputError, match=message):
        two_way_identification(correlation_matrix(truth, made))


@pytest.mark.parametrize("n_way", [1, 11])
def test_candidates_out_of_range(n_way):
    with pytest.raises(InputError, match="expected 2 to 10"):
        n_way_accuracy(np.ones(10), 10, n_way)


def test_distance_needs_one_reconstruction_an_image():
    truth, made = random_features(n_images=4)
    with pytest.raises(InputError, match="4 ground truths and 3 reconstructions"):
        correlation_distance(correlation_matrix(truth, made[:3]))


def test_categories_of_another_length():
    with pytest.raises(InputError, match="categories"):
        identification_within_category(
            correlation_matrix(*random_features(n_images=4)), np.zeros(3)
        )
