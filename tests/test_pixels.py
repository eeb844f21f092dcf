import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

from nsdrecon.errors import InputError
from nsdrecon.evaluation.pixel_scoring import pixel_scores
from nsdrecon.evaluation.pixels import pixel_correlation, ssim, ssim_along_columns
from nsdrecon.evaluation.protocols import PROTOCOLS, protocol, resize_bilinear
from nsdrecon.extensions import implementation
from nsdrecon.metrics import configured_metrics

GOLDEN = Path(__file__).parent / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


def picture(name):
    return np.asarray(Image.open(GOLDEN / f"{name}.png").convert("RGB"))


def scored(name, truth, made):
    """The pixel metrics of a protocol."""
    functions = {row.name: implementation(row.source) for row in configured_metrics(name, [])}
    return pixel_scores(functions, protocol(name), truth, made)


@pytest.mark.parametrize("pair", range(6))
@pytest.mark.parametrize(
    ("name", "pixcorr", "similarity"),
    [
        ("brain-diffuser", "pixcorr", "ssim_brain_diffuser"),
        ("mindeye", "pixcorr_mindeye", "ssim_mindeye"),
    ],
)
def test_pixel_scores_equal_the_published_evaluations(name, pixcorr, similarity, pair):
    scores = scored(name, picture(f"gt_{pair}"), picture(f"recon_{pair}"))
    assert scores["PixCorr"] == pytest.approx(EXPECTED[pixcorr][pair], abs=1e-6)
    assert scores["SSIM"] == pytest.approx(EXPECTED[similarity][pair], abs=1e-6)


def test_the_protocols_disagree():
    pair = picture("gt_5"), picture("recon_5")
    one, other = (scored(name, *pair) for name in PROTOCOLS)
    assert abs(one["SSIM"] - other["SSIM"]) > 0.01


def test_unknown_protocol():
    with pytest.raises(InputError, match="found psnr; expected brain-diffuser or mindeye"):
        protocol("psnr")


@pytest.mark.parametrize("name", ["brain-diffuser", "mindeye"])
def test_pictures_of_other_sizes(name):
    truth = picture("gt_1")
    small = np.asarray(Image.fromarray(truth).resize((64, 64), Image.Resampling.BILINEAR))
    scores = scored(name, truth, small)
    assert 0.7 < scores["PixCorr"] < 1
    assert scored(name, truth, truth) == pytest.approx({"PixCorr": 1, "SSIM": 1})


def test_a_picture_that_is_not_finite_has_no_pixel_correlation():
    wrong = np.full((4, 4, 3), np.nan)
    with pytest.raises(InputError, match="picture: found values that are not finite"):
        pixel_correlation(wrong, np.ones_like(wrong))


@pytest.mark.parametrize("name", ["brain-diffuser", "mindeye"])
def test_flat_grey_has_no_pixel_correlation_but_some_ssim(name):
    flat = np.full((64, 64, 3), 128, dtype=np.uint8)
    scores = scored(name, picture("gt_0"), flat)
    assert np.isnan(scores["PixCorr"])
    assert scores["SSIM"] > 0.4


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_ssim_equals_scikit_image(kind):
    x, y = np.random.default_rng(0).random((2, 40, 30, 3)).astype(kind)
    grey = rgb2gray(x), rgb2gray(y)
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1.0,
    }
    assert ssim(x, y) == pytest.approx(structural_similarity(*grey, **options), abs=1e-7)
    columns = structural_similarity(*grey, channel_axis=1, **options)
    assert ssim_along_columns(x, y) == pytest.approx(columns, abs=1e-7)


@pytest.mark.parametrize(("old", "new"), [(425, 256), (64, 256), (256, 425), (256, 342)])
def test_resizing_equals_torch_whatever_the_threads(old, new):
    image = np.random.default_rng(old).random((3, old, old), dtype=np.float32)
    threads = torch.get_num_threads()
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            expected = torch.nn.functional.interpolate(
                torch.from_numpy(image)[None], (new, new), mode="bilinear"
            )[0]
            np.testing.assert_allclose(resize_bilinear(image, new), expected, atol=1e-6)
    finally:
        torch.set_num_threads(threads)
