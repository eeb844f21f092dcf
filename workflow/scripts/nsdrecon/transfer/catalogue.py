"""Where the pretrained models are, pinned.

``resources/models/<name>/<file>`` is downloaded for every entry of `FILES`, and
``resources/models/<name>/`` for every entry of `REPOSITORIES`. Imports nothing heavy: the workflow
reads this module whenever it is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFile:
    """A single file of pretrained weights (or of data they need).

    Parameters
    ----------
    url
        Where its authors keep it.
    size
        Bytes, where known.
    sha256
        Its SHA-256, or the beginning of it that its authors put into its name; None where none
        is published: it is then recorded on first use.
    """

    url: str
    size: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class ModelRepository:
    """Files of a repository of the Hugging Face hub, at one commit.

    Parameters
    ----------
    repository
        ``owner/name``.
    revision
        Commit.
    patterns
        Which files, as shell patterns.
    """

    repository: str
    revision: str
    patterns: tuple[str, ...]


FILES = {
    "vdvae": ModelFile(
        "https://openaipublic.blob.core.windows.net/very-deep-vaes-assets/vdvae-assets-2/"
        "imagenet64-iter-1600000-model-ema.th"
    ),
    "alexnet": ModelFile(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        244_408_911,
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "inception-v3": ModelFile(
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth", None, "0cc3c7bd"
    ),
    "efficientnet-b1-v1": ModelFile(
        "https://download.pytorch.org/models/efficientnet_b1_rwightman-bac287d4.pth",
        None,
        "bac287d4",
    ),
    "efficientnet-b1-v2": ModelFile(
        "https://download.pytorch.org/models/efficientnet_b1-c27df63c.pth", None, "c27df63c"
    ),
    "swav": ModelFile("https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar"),
    # The bucket's own name (images.cocodataset.org) has no certificate that fits it.
    "coco-annotations": ModelFile(
        "https://s3.amazonaws.com/images.cocodataset.org/annotations/annotations_trainval2017.zip",
        252_907_541,
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    ),
}
"""Single files by the name of their folder in ``resources/models/``. Sizes and checksums are given
where their publishers or several independent copies state them."""

_STABLE_DIFFUSION = (
    "model_index.json",
    "scheduler/*.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/*",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)

REPOSITORIES = {
    "stable-diffusion-v1-4": ModelRepository(
        "CompVis/stable-diffusion-v1-4",
        "133a221b8aa7292a167afc5127cb63fb5005638b",
        _STABLE_DIFFUSION,
    ),
    "stable-diffusion-v1-5": ModelRepository(
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        _STABLE_DIFFUSION,
    ),
    "versatile-diffusion": ModelRepository(
        "shi-labs/versatile-diffusion",
        "2926f8e11ea526b562cd592b099fcf9c2985d0b7",
        (
            "model_index.json",
            "scheduler/*.json",
            "tokenizer/*",
            *(
                f"{part}/*"
                for part in ("image_encoder", "image_unet", "text_encoder", "text_unet", "vae")
            ),
        ),
    ),
    "clip-vit-large-patch14": ModelRepository(
        "openai/clip-vit-large-patch14",
        "32bd64288804d66eefd0ccbe215aa642df71cc41",
        ("*.json", "*.txt", "model.safetensors"),
    ),
}
"""Repositories by the name of their folder in ``resources/models/``."""
