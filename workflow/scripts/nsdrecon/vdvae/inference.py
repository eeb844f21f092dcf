"""What extraction and decoding share: precision, batches, and the check for non-finite numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from nsdrecon.ahead import ahead
from nsdrecon.devices import number_format, reuse_memory
from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.vdvae.model import VDVAE

Precision = Literal["float32", "bfloat16"]
Prepared = TypeVar("Prepared")


@contextmanager
def inference(model: VDVAE, precision: Precision) -> Iterator[torch.device]:
    """No gradients, and convolutions in the precision asked for; gives the model's device.

    float32 means float32 on a GPU too: TensorFloat-32, which PyTorch allows in convolutions by
    default, rounds to 10 bits.
    """
    if precision not in ("float32", "bfloat16"):
        raise InputError("precision", found=precision, expected="float32 or bfloat16")
    device = model.decoder.gain.device
    dtype = number_format(precision, device)
    reuse_memory(device)
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16),
    ):
        yield device


def batches_ahead(
    prepare: Callable[[slice], Prepared], n_rows: int, batch_size: int, description: str
) -> Iterator[tuple[slice, Prepared]]:
    """The rows of each batch with what it needs, prepared while the network computes.

    Parameters
    ----------
    prepare
        From the rows of a batch to its inputs on the CPU, such as resized pictures and noise.
    n_rows
        Rows of all batches together.
    batch_size
        Rows of one.
    description
        Of the progress bar.
    """
    rows = [slice(start, start + batch_size) for start in range(0, n_rows, batch_size)]
    # One batch is computed on, as many as there are threads are in the making.
    workers = torch.get_num_threads()
    prepared = ahead(prepare, rows, depth=workers + 1, workers=workers)
    watched = progress(prepared, description=description, total=len(rows), unit="batch")
    yield from zip(rows, watched, strict=True)


def noise_of(
    draw: Callable[..., np.ndarray], shape: tuple[int, ...], keys: list[tuple]
) -> np.ndarray:
    """Noise for a batch, one key an image: shape (len(keys), *shape)."""
    return np.stack([draw(shape, *key) for key in keys])


def check_finite(values: Tensor, nsd_id: np.ndarray, what: str) -> None:
    """Raise an InputError that names the images whose values (n, ...) are not all finite."""
    finite = torch.isfinite(values).flatten(1).all(dim=1).cpu().numpy()
    if not finite.all():
        raise InputError(
            f"image nsd_id {', '.join(map(str, nsd_id[~finite]))}",
            found=f"NaN or infinity in {what}",
            expected="finite numbers",
            remedy="Check the checkpoint, or use precision float32.",
        )
