"""Damage that a disk or a copy can do to a file."""

from __future__ import annotations

from pathlib import Path

import h5py


def flip_a_byte(path: Path, name: str | None = None) -> None:
    """Flip all bits of one byte: of an array in an HDF5 file, or in the middle of another file."""
    position = path.stat().st_size // 2
    if name is not None:
        with h5py.File(path) as file:
            chunk = file[name].id.get_chunk_info(0)
            position = chunk.byte_offset + chunk.size // 2
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
