"""Random numbers that belong to an image, not to the moment they were drawn.

Every draw is keyed, for instance by (seed, subject, nsd_id, sample, stage): the numbers for one
image are the same whatever the batch size, shard, order, resume or node. All draws happen on the
CPU.
"""

from __future__ import annotations

import hashlib

import numpy as np

Key = int | str


def generator(*key: Key) -> np.random.Generator:
    """A NumPy generator for a key of integers and strings.

    The parts are hashed together with their types and lengths, so (1, 23), (12, 3) and ("1", 23)
    are three different keys.

    Raises
    ------
    TypeError
        If a part is neither an integer nor a string (a float would not hash portably).
    """
    return np.random.Generator(np.random.Philox(key=_digest(key)))


def integer_seed(*key: Key) -> int:
    """A 63-bit seed for libraries that take an integer, such as ``torch.Generator``."""
    return _digest(key) >> 65


def normal(shape: tuple[int, ...], *key: Key) -> np.ndarray:
    """Standard normal float32 numbers of a shape, for a key."""
    return generator(*key).standard_normal(shape, dtype=np.float32)


def uniform(shape: tuple[int, ...], *key: Key) -> np.ndarray:
    """Uniform float32 numbers in [0, 1) of a shape, for a key."""
    return generator(*key).random(shape, dtype=np.float32)


def _digest(key: tuple[Key, ...]) -> int:
    if not key:
        raise TypeError("a random key needs at least one part")
    hasher = hashlib.blake2b(digest_size=16)
    for part in key:
        if isinstance(part, str):
            kind, data = b"s", part.encode()
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            kind, data = b"i", str(int(part)).encode()
        else:
            raise TypeError(f"a random key is made of integers and strings, not {part!r}")
        hasher.update(kind + len(data).to_bytes(4, "little") + data)
    return int.from_bytes(hasher.digest(), "little")
