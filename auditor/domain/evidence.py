"""Evidence: content-addressed blobs from which a third party recomputes a measurement."""

import io
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
        array: NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
        return array
    return parse(raw)


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
    )
    return buffer.getvalue()
