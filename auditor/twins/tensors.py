"""NumPy arrays as torch tensors, in the types that a twin computes in."""

from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

_INTEGERS = {
    np.dtype(np.bool_): torch.bool,
    np.dtype(np.int8): torch.int8,
    np.dtype(np.uint8): torch.uint8,
    np.dtype(np.int16): torch.int16,
    np.dtype(np.int32): torch.int32,
}
_WIDE: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.int64: np.dtype(np.int64),
}


def tensor_type(dtype: DTypeLike) -> torch.dtype:
    """Return what a twin computes in: float32 for floating-point types, int64 for wide integers.

    Raises ``ValueError`` for text and other types that are no numbers.
    """
    kind = np.dtype(dtype)
    if kind in _INTEGERS:
        return _INTEGERS[kind]
    if np.issubdtype(kind, np.integer):
        return torch.int64
    if np.issubdtype(kind, np.floating) or kind.name == "bfloat16":
        return torch.float32
    message = f"a twin computes with numbers, and not with {kind}"
    raise ValueError(message)


def to_tensor(array: NDArray[Any]) -> torch.Tensor:
    """Return a copy of ``array`` in the type that a twin computes in."""
    kind = tensor_type(array.dtype)
    plain: np.dtype[Any] = _WIDE.get(kind, array.dtype)
    return torch.from_numpy(np.array(array, dtype=plain, order="C", copy=True))
