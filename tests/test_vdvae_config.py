"""Block strings, and the shapes of latents that follow from them."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon.errors import InputError
from nsdrecon.vdvae.config import VDVAEConfig

IMAGENET64 = VDVAEConfig()


def test_imagenet64_has_the_published_layers_and_latents():
    per_resolution = {
        resolution: sum(block.resolution == resolution for block in IMAGENET64.decoder)
        for resolution in (1, 4, 8, 16, 32, 64)
    }
    assert per_resolution == {1: 2, 4: 4, 8: 8, 16: 16, 32: 32, 64: 13}
    assert len(IMAGENET64.encoder) == 65
    assert IMAGENET64.n_latents(31) == 91_168
    assert IMAGENET64.n_latents() == 1_451_040
    sizes = [c * h * w for c, h, w in IMAGENET64.latent_shapes(31)]
    assert sizes == 2 * [16] + 4 * [256] + 8 * [1024] + 16 * [4096] + [16384]
    assert IMAGENET64.latent_shapes(31)[-1] == (16, 32, 32)


def test_shapes_need_no_torch():
    code = (
        "import sys; from nsdrecon.vdvae.config import VDVAEConfig; "
        "assert VDVAEConfig().n_latents(31) == 91168; assert 'torch' not in sys.modules"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@given(
    counts=st.lists(st.integers(1, 4), min_size=4, max_size=4),
    zdim=st.integers(1, 20),
    pooling=st.sampled_from([2, 4]),
)
@settings(deadline=None, max_examples=50)
def test_latents_of_the_first_layers_begin_those_of_more(counts, zdim, pooling):
    resolutions = [8 * pooling, 8, 4, 1]
    encoder = ",".join(
        f"{r}x{n},{r}d{r // smaller}" if smaller else f"{r}x{n}"
        for r, smaller, n in zip(resolutions, [*resolutions[1:], None], counts, strict=True)
    )
    decoder = ",".join(
        f"{r}m{smaller},{r}x{n}" if smaller else f"{r}x{n}"
        for r, smaller, n in zip(
            resolutions[::-1], [None, *resolutions[:0:-1]], counts[::-1], strict=True
        )
    )
    config = VDVAEConfig(
        image_size=8 * pooling, zdim=zdim, encoder_blocks=encoder, decoder_blocks=decoder
    )
    assert len(config.encoder) == sum(counts) + 3
    assert len(config.decoder) == sum(counts) + 3
    shapes = config.latent_shapes()
    for n_layers in range(1, len(shapes) + 1):
        assert config.latent_shapes(n_layers) == shapes[:n_layers]
        assert config.n_latents(n_layers) == sum(zdim * h * w for _, h, w in shapes[:n_layers])


@pytest.mark.parametrize(
    ("arguments", "found", "expected"),
    [
        ({"encoder_blocks": "64x11,32q2"}, "'32q2'", "RxN"),
        ({"encoder_blocks": "64x11,"}, "''", "RxN"),
        ({"encoder_blocks": "64m32"}, "'64m32'", "RdK"),
        ({"encoder_blocks": "32x2"}, "resolution 32", "64"),
        ({"encoder_blocks": "64d2,64x2"}, "resolution 64", "32"),
        ({"encoder_blocks": "64d5"}, "pooled by 5", "divisor"),
        ({"decoder_blocks": "1x2,4d1"}, "'4d1'", "RmK"),
        ({"decoder_blocks": "1x2,2m1,64m2"}, "resolution 2", "encoder"),
        ({"decoder_blocks": "4m1,64x1"}, "'4m1'", "earlier"),
        ({"decoder_blocks": "1x2,4m1"}, "[1, 4]", "image size, 64"),
        ({"width": 2}, "0.25", "1/2"),
        ({"zdim": 0}, "0", "1 or more"),
    ],
)
def test_a_configuration_that_does_not_fit_together_is_refused(arguments, found, expected):
    with pytest.raises(InputError) as error:
        VDVAEConfig(**arguments)
    assert found in error.value.found
    assert expected in error.value.expected


@pytest.mark.parametrize("n_layers", [0, 76, -1])
def test_more_layers_than_there_are_is_an_error(n_layers):
    with pytest.raises(InputError, match="1 to 75"):
        IMAGENET64.latent_shapes(n_layers)
