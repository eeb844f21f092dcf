import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon.errors import InputError
from nsdrecon.evaluation import statistics
from nsdrecon.evaluation.statistics import (
    bootstrap_mean,
    contrasts_table,
    curve_table,
    holm,
    metrics_table,
    sign_flip_p,
)
from nsdrecon.store import read_table, write_table

SETTINGS = {"resamples": 500, "seed": 0}
EXPONENTIAL = np.random.default_rng(0).exponential(size=30)


def scores(system, subject="subj01", n_images=20, shift=0.0, samples=1, ids=None, **columns):
    """A per-image table; an image's difficulty is shared by systems and subjects."""
    ids = np.arange(n_images) if ids is None else np.asarray(ids)
    difficulty = np.random.default_rng(7).normal(size=1000)[ids]
    own = np.random.default_rng(sum(map(ord, system + subject)))
    tables = []
    for sample in range(samples):
        values = difficulty + shift + 0.1 * own.normal(size=len(ids))
        tables.append(
            pd.DataFrame(
                {
                    "nsd_id": ids,
                    "subject": subject,
                    "system": system,
                    "protocol": "brain-diffuser",
                    "sample": sample,
                    "PixCorr": values,
                    **columns,
                    "undefined": "",
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def row(table, **wanted):
    for name, value in wanted.items():
        table = table[table[name] == value]
    (found,) = table.to_dict("records")
    return found


# Of zeros and ones many resamples have the very mean of the images.
@pytest.mark.parametrize("values", [EXPONENTIAL, (EXPONENTIAL > 2).astype(float)])
def test_interval_equals_scipy(values):
    interval = bootstrap_mean(values[None, :, None], resamples=20_000, seed=1)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    assert interval.mean[0] == pytest.approx(values.mean())
    assert interval.low[0] == pytest.approx(expected.low, abs=0.01)
    assert interval.high[0] == pytest.approx(expected.high, abs=0.02)


def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch):
    """300 experiments of 60 skewed images each: 95 % intervals miss about 5 %."""
    values = np.random.default_rng(0).exponential(size=(1, 60, 300))
    interval = bootstrap_mean(values, resamples=1000, seed=0)
    covered = ((interval.low <= 1) & (interval.high >= 1)).mean()
    assert 0.90 <= covered <= 0.97
    monkeypatch.setattr(statistics, "_LEVEL", 0.5)
    narrow = bootstrap_mean(values, resamples=1000, seed=0)
    assert 0.42 <= ((narrow.low <= 1) & (narrow.high >= 1)).mean() <= 0.58


def test_the_same_resamples_for_all_columns():
    """A constant difference between two columns has no interval to speak of."""
    values = np.random.default_rng(0).normal(size=(1, 25, 1))
    interval = bootstrap_mean(np.concatenate([values, values + 3], axis=2), **SETTINGS)
    for limits in (interval.mean, interval.low, interval.high):
        assert limits[1] - limits[0] == pytest.approx(3)


def test_seed_decides_and_chunks_do_not(monkeypatch):
    values = np.random.default_rng(0).normal(size=(1, 25, 1))
    one = bootstrap_mean(values, **SETTINGS)
    assert bootstrap_mean(values, **SETTINGS).low == one.low
    assert bootstrap_mean(values, resamples=500, seed=1).low != one.low
    monkeypatch.setattr(statistics, "_CHUNK", 77)
    assert bootstrap_mean(values, **SETTINGS).low == one.low


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_values_without_spread(value):
    interval = bootstrap_mean(np.full((2, 9, 1), value), **SETTINGS)
    assert [interval.mean[0], interval.low[0], interval.high[0]] == pytest.approx([value] * 3)


def test_subjects_count_alike_and_images_are_drawn_with_all_their_subjects():
    shared = np.random.default_rng(0).normal(size=200)
    two = np.stack([shared, shared + 2])[:, :, None]
    interval = bootstrap_mean(two, **SETTINGS)
    alone = bootstrap_mean(two[:1], **SETTINGS)
    assert interval.mean[0] == pytest.approx(shared.mean() + 1)
    # The subjects agree about every image: two of them say no more than one.
    assert interval.high - interval.low == pytest.approx(alone.high - alone.low)
    independent = np.stack([shared, np.random.default_rng(1).permutation(shared)])[:, :, None]
    narrower = bootstrap_mean(independent, **SETTINGS)
    assert (narrower.high - narrower.low) / (alone.high - alone.low) == pytest.approx(0.71, abs=0.1)


def test_subjects_who_saw_fewer_images():
    values = np.random.default_rng(0).normal(size=(2, 40, 1))
    values[1, 10:] = np.nan
    interval = bootstrap_mean(values, **SETTINGS)
    expected = (values[0].mean() + values[1, :10].mean()) / 2
    assert interval.mean[0] == pytest.approx(expected)
    assert interval.low[0] < expected < interval.high[0]


def test_a_column_of_one_subject_alone_is_that_subjects():
    values = np.random.default_rng(3).normal(size=(2, 15, 2))
    values[1, :, 1] = np.nan
    both, alone = bootstrap_mean(values, **SETTINGS), bootstrap_mean(values[:1], **SETTINGS)
    for name in ("mean", "low", "high"):
        assert getattr(both, name)[1] == pytest.approx(getattr(alone, name)[1]), name
    p_values = [sign_flip_p(some, permutations=99, seed=0)[1] for some in (values, values[:1])]
    assert p_values[0] == p_values[1]


@pytest.mark.parametrize("seed", range(6))
def test_limits_are_finite_where_all_draws_lie_on_one_side(seed):
    values = np.random.default_rng(0).exponential(size=(1, 5, 1))
    interval = bootstrap_mean(values, resamples=1, seed=seed)
    assert np.isfinite([interval.low, interval.high]).all()


def test_a_curve_has_the_means_of_each_value():
    tables = [(2, scores("one")), ("loo", scores("one", shift=1)), (2, scores("other"))]
    found = curve_table(tables, "value", **SETTINGS)
    assert list(dict.fromkeys(found["value"])) == [2, "loo"]
    assert found.index.is_unique
    own = found[found["value"] == 2].drop(columns="value")
    expected = metrics_table([tables[0][1], tables[2][1]], **SETTINGS)
    pd.testing.assert_frame_equal(own, expected)


def test_a_curve_of_numbers_runs_from_low_to_high_whatever_subjects_have():
    numbers = {"subj01": (1, 10, 37), "subj03": (1, 10, 32)}
    tables = [(n, scores("one", subject=name)) for name, own in numbers.items() for n in own]
    found = curve_table(tables, "n_sessions", **SETTINGS)
    assert list(dict.fromkeys(found["n_sessions"])) == [1, 10, 32, 37]
    assert set(found.loc[found["subject"] == "pooled", "n_sessions"]) == {1, 10}


def test_values_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"found shape \(3, 2\); expected \(subjects, images, col"):
        bootstrap_mean(np.zeros((3, 2)), **SETTINGS)
    with pytest.raises(InputError, match="found a column without a value"):
        bootstrap_mean(np.full((1, 3, 1), np.nan), **SETTINGS)


def test_p_value_equals_the_count_of_all_sign_patterns():
    differences = np.random.default_rng(0).normal(0.4, 1, size=10)
    signs = np.array(list(itertools.product([-1, 1], repeat=10)))
    exact = (np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12).mean()
    found = sign_flip_p(differences[None, :, None], permutations=20_000, seed=0)
    assert 0.02 < exact < 0.5
    assert found[0] == pytest.approx(exact, abs=0.01)


def test_p_values_of_no_difference_are_uniform():
    differences = np.random.default_rng(0).normal(size=(1, 20, 400))
    found = sign_flip_p(differences, permutations=500, seed=0)
    assert (found <= 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (found <= 0.5).mean() == pytest.approx(0.5, abs=0.1)


def test_a_subject_with_one_image_counts_like_another():
    differences = np.full((2, 6, 1), np.nan)
    differences[0, :, 0] = [0.3, -0.2, 0.5, 0.1, 0.4, 0.6]
    differences[1, 0, 0] = -0.5
    means = np.nanmean(differences, axis=1)
    assert bootstrap_mean(differences, **SETTINGS).mean == pytest.approx(means.mean())
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    seen = ~np.isnan(differences[..., 0])
    flipped = (signs[:, None] * differences[..., 0]).mean(axis=2, where=seen).mean(axis=1)
    exact = (np.abs(flipped) >= abs(means.mean()) - 1e-9).mean()
    found = sign_flip_p(differences, permutations=20_000, seed=0)
    assert found == pytest.approx(exact, abs=0.01)


def test_the_same_signs_for_all_columns():
    differences = np.random.default_rng(0).normal(0.2, 1, size=(1, 20, 3))
    together, alone = (
        sign_flip_p(some, permutations=500, seed=0) for some in (differences, differences[..., :1])
    )
    assert together[0] == alone[0]


def test_p_is_never_zero_and_no_difference_is_one():
    differences = np.stack([np.full(30, 2.0), np.zeros(30)], axis=1)[None]
    found = sign_flip_p(differences, permutations=200, seed=0)
    assert found.tolist() == [1 / 201, 1.0]


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_holm_follows_its_definition(p_values):
    """Step down: the k-th smallest times the number not yet rejected, monotone."""
    adjusted, largest = dict.fromkeys(range(len(p_values))), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, largest)
    np.testing.assert_allclose(holm(p_values), list(adjusted.values()))


def test_metrics_of_every_subject_and_pooled():
    tables = [
        scores(system, subject, shift=shift)
        for system, shift in (("sd-ddpm", 1.0), ("shuffled-sd-ddpm", 0.0))
        for subject in ("subj01", "subj02")
    ]
    table = metrics_table(tables, **SETTINGS)
    assert table["subject"].unique().tolist() == ["subj01", "subj02", "pooled"]
    one, two, pooled = (
        row(table, subject=name, system="sd-ddpm") for name in ("subj01", "subj02", "pooled")
    )
    assert one["mean"] == pytest.approx(tables[0]["PixCorr"].mean())
    assert pooled["mean"] == pytest.approx((one["mean"] + two["mean"]) / 2)
    assert (one["n_images"], one["n_subjects"]) == (20, 1)
    assert (pooled["n_images"], pooled["n_subjects"]) == (20, 2)
    assert one["ci_low"] < one["mean"] < one["ci_high"]
    assert np.isnan(one["sample_sd"])


def test_one_subject_is_not_pooled():
    table = metrics_table([scores("sd-ddpm"), scores("vdvae")], **SETTINGS)
    assert table["subject"].unique().tolist() == ["subj01"]


def test_a_system_of_one_subject_is_not_pooled():
    tables = [scores("sd-ddpm"), scores("sd-ddpm", "subj02"), scores("vdvae")]
    pooled = metrics_table(tables, **SETTINGS).query("subject == 'pooled'")
    assert pooled["system"].tolist() == ["sd-ddpm"]


def test_samples_of_an_image_are_averaged_first():
    many, one = scores("sd-ddpm", samples=3), scores("vdvae")
    table = metrics_table([many, one], **SETTINGS)
    found = row(table, system="sd-ddpm")
    by_image = many.groupby("nsd_id")["PixCorr"]
    assert found["n_images"] == 20
    assert found["n_samples"] == 3
    assert found["mean"] == pytest.approx(by_image.mean().mean())
    assert found["sample_sd"] == pytest.approx(by_image.std().mean())


def test_protocols_and_metrics_stay_apart():
    other = scores("sd-ddpm").assign(protocol="mindeye")
    table = metrics_table([scores("sd-ddpm", SSIM=0.5), other], **SETTINGS)
    found = list(table[["protocol", "metric"]].itertuples(index=False, name=None))
    assert found == [
        ("brain-diffuser", "PixCorr"),
        ("brain-diffuser", "SSIM"),
        ("mindeye", "PixCorr"),
    ]


def test_undefined_values_are_counted(tmp_path):
    flat = scores("flat-grey", SSIM=0.5).assign(undefined="PixCorr")
    for name, part in {"flat": flat, "made": scores("sd-ddpm", SSIM=0.6)}.items():
        write_table(tmp_path / f"{name}.tsv", part)
    # As the workflow does: through files, where an empty column has no text.
    tables = [read_table(tmp_path / f"{name}.tsv") for name in ("flat", "made")]
    table = metrics_table(tables, **SETTINGS)
    assert row(table, system="flat-grey", metric="PixCorr")["n_undefined"] == 20
    assert row(table, system="flat-grey", metric="SSIM")["n_undefined"] == 0
    assert row(table, system="sd-ddpm", metric="PixCorr")["n_undefined"] == 0


def test_questions_not_asked_are_left_out_of_the_mean():
    table = scores("sd-ddpm", n_images=6)
    table["CLIP (same category)"] = [0.5, np.nan, 1.0, 0.75, np.nan, 0.75]
    found = row(metrics_table([table], **SETTINGS), metric="CLIP (same category)")
    assert found["mean"] == pytest.approx(0.75)
    assert found["n_images"] == 4
    assert 0.5 <= found["ci_low"] < found["ci_high"] <= 1


def test_a_metric_without_any_value_is_left_out_and_named(caplog):
    table = metrics_table([scores("sd-ddpm", **{"CLIP (same category)": np.nan})], **SETTINGS)
    assert set(table["metric"]) == {"PixCorr"}
    assert "no image has a value of CLIP (same category)" in caplog.text


def test_contrasts_are_paired():
    """Images differ far more than systems: only the paired difference is certain."""
    tables = [scores("sd-ddpm", shift=0.2), scores("sd-ddim"), scores("vd-ddim", shift=0.2)]
    contrasts = {"DDPM - DDIM": ("sd-ddpm", "sd-ddim"), "SD - VD": ("sd-ddpm", "vd-ddim")}
    table = contrasts_table(tables, contrasts, **SETTINGS)
    sampler = row(table, contrast="DDPM - DDIM")
    assert sampler["difference"] == pytest.approx(
        (tables[0]["PixCorr"] - tables[1]["PixCorr"]).mean()
    )
    assert 0.1 < sampler["ci_low"] < sampler["ci_high"] < 0.3
    assert (sampler["n_images"], sampler["n_subjects"]) == (20, 1)
    assert sampler["p"] == pytest.approx(1 / 501)
    assert sampler["p_holm"] == pytest.approx(2 / 501)
    backbone = row(table, contrast="SD - VD")
    assert backbone["ci_low"] < 0 < backbone["ci_high"]
    assert backbone["p_holm"] > 0.05
    means = metrics_table(tables, **SETTINGS)
    assert row(means, system="sd-ddpm")["ci_low"] < row(means, system="sd-ddim")["ci_high"]


CONTRASTS = {
    "DDPM - DDIM (Stable Diffusion)": ("sd-ddpm", "sd-ddim"),
    "Stable - Versatile Diffusion (DDPM)": ("sd-ddpm", "vd-ddpm"),
}


def test_contrasts_of_subjects_and_pooled_are_corrected_apart():
    tables = [
        scores(system, subject, shift=shift, SSIM=0.5 + shift)
        for system, shift in (("sd-ddpm", 0.3), ("sd-ddim", 0.0))
        for subject in ("subj01", "subj02")
    ]
    table = contrasts_table(tables, CONTRASTS, **SETTINGS)
    assert table["contrast"].unique().tolist() == ["DDPM - DDIM (Stable Diffusion)"]
    assert table["subject"].tolist() == ["subj01", "subj02", "pooled"] * 2
    for _, family in table.groupby("subject"):
        np.testing.assert_allclose(family["p_holm"], holm(family["p"].to_numpy()))
    assert row(table, subject="pooled", metric="PixCorr")["n_subjects"] == 2


def test_subjects_are_in_the_order_of_the_tables():
    tables = [scores("a", subject) for subject in ("subj02", "subj01")]
    found = metrics_table(tables, **SETTINGS)["subject"]
    assert found.tolist() == ["subj02", "subj01", "pooled"]


def test_rows_are_in_the_order_of_the_metrics():
    tables = [scores(system, Above=1.0, SSIM=0.5) for system in ("a", "b")]
    found = contrasts_table(tables, {"a - b": ("a", "b")}, **SETTINGS)
    assert found["metric"].tolist() == ["PixCorr", "Above", "SSIM"]
    assert metrics_table(tables, **SETTINGS)["metric"].unique().tolist() == found["metric"].tolist()


def test_without_a_contrast_the_table_is_empty():
    table = contrasts_table([scores("sd-ddpm")], CONTRASTS, **SETTINGS)
    assert table.empty
    assert "p_holm" in table


def test_an_image_twice():
    with pytest.raises(InputError, match="nsd_id 0 of sd-ddpm, subj01, twice"):
        metrics_table([scores("sd-ddpm"), scores("sd-ddpm")], **SETTINGS)


def test_systems_on_different_images():
    tables = [scores("sd-ddpm"), scores("vdvae", ids=np.arange(1, 21))]
    with pytest.raises(InputError, match="nsd_id 0, 20 in some systems only"):
        metrics_table(tables, **SETTINGS)


def test_subjects_may_have_seen_other_images():
    tables = [
        scores(system, subject, ids=ids)
        for system in ("sd-ddpm", "vdvae")
        for subject, ids in (("subj01", np.arange(20)), ("subj03", np.arange(5, 25)))
    ]
    pooled = row(metrics_table(tables, **SETTINGS), subject="pooled", system="vdvae")
    assert pooled["n_images"] == 25


def test_a_table_of_another_kind():
    with pytest.raises(InputError, match="expected also undefined"):
        metrics_table([scores("sd-ddpm").drop(columns="undefined")], **SETTINGS)


def test_the_limits_are_shifted_by_bias_and_skewness_as_published(monkeypatch):
    """Efron 1987, equations 3.9 and 4.4; a draw at the mean is half below it."""
    monkeypatch.setattr(statistics, "_LEVEL", 0.9)
    z = scipy.stats.norm.ppf(0.95)
    ties = np.r_[np.linspace(0, 0.4, 100), np.full(100, 0.5), np.linspace(0.6, 1, 100)][:, None]
    alike = statistics._bca(np.array([0.5]), ties, np.zeros((4, 1)))
    assert (alike.low[0], alike.high[0]) == pytest.approx(np.quantile(ties, [0.05, 0.95]))

    draws, influence = np.linspace(0, 1, 1001)[:, None], np.array([[3.0], [-1.0], [-1.0], [-1.0]])
    found = statistics._bca(np.array([0.5]), draws, influence)
    acceleration = 24 / (6 * 12**1.5)
    expected = scipy.stats.norm.cdf([-z / (1 + acceleration * z), z / (1 - acceleration * z)])
    assert (found.low[0], found.high[0]) == pytest.approx(expected, abs=1e-6)


def test_the_only_image_of_a_subject_has_no_influence():
    values, seen = np.array([[[0.7], [0.0]]]), np.array([[[1.0], [0.0]]])
    np.testing.assert_array_equal(statistics._influence(values, seen), np.zeros((2, 1)))
