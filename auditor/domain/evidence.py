"""Evidence: content-addressed blobs from which a third party recomputes a measurement."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json, canonical, digest, parse

NPY_MAGIC = b"\x93NUMPY"
Item: TypeAlias = "NDArray[Any] | Json"
Evidence: TypeAlias = Mapping[str, Item]
"""What one ``observe`` saw, by name: arrays (``.npy`` blobs) and JSON values (canonical)."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes under their own digest."""

    digest: str
    raw: bytes


def encode(item: Item) -> Blob:
    """Return the blob of one item. Equal items give equal bytes.

    Raises ``ValueError`` for object arrays, NaN or infinity in JSON.
    """
    raw = _npy(item) if isinstance(item, np.ndarray) else canonical(item)
    return Blob(digest(raw), raw)


def decode(raw: bytes) -> Item:
    """Read a blob back. Raises ``ValueError`` when it is neither npy nor canonical JSON."""
    if raw.startswith(NPY_MAGIC):
        declared_array(raw)
        array: NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
        return array
    return parse(raw)


def declared_array(raw: bytes) -> tuple[int, np.dtype[Any]]:
    """Return how many elements of which type an ``.npy`` declares.

    Raises ``ValueError`` where it does not hold just as many bytes: a header that promises more
    would make NumPy allocate all of it.
    """
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    shape, _, dtype = (
        read(stream) if version == (1, 0) else np.lib.format.read_array_header_2_0(stream)
    )
    count = math.prod(shape)
    empty = count > 0 and dtype.itemsize == 0  # any number of them fits into no byte
    if not dtype.hasobject and (empty or count * dtype.itemsize != len(raw) - stream.tell()):
        message = f"an array of shape {shape} does not fit into {len(raw)} bytes"
        raise ValueError(message)
    return count, dtype


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()
