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
_FEW_BITS = frozenset({"int4", "uint4", "int2", "uint2"})
"""Integers that torch does not compute with; a byte holds them."""
_WIDE: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.int64: np.dtype(np.int64),
    torch.int8: np.dtype(np.int8),
}


def tensor_type(dtype: DTypeLike) -> torch.dtype:
    """Return what a twin computes in: float32 for floating-point types, int64 for wide integers.

    Integers of fewer than 8 bits are held as int8. Raises ``ValueError`` for text and other types
    that are no numbers.
    """
    kind = np.dtype(dtype)
    if kind in _INTEGERS:
        return _INTEGERS[kind]
    if kind.name in _FEW_BITS:
        return torch.int8
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


class _FiniteGradient(torch.autograd.Function):
    """Nothing on the way forward; on the way back, slopes that are no numbers count as zero."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ANN401 -- as torch calls it
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> torch.Tensor:  # noqa: ANN401, ARG004 -- as torch
        return torch.where(torch.isfinite(slopes[0]), slopes[0], torch.zeros_like(slopes[0]))


def finite_slope(x: torch.Tensor) -> torch.Tensor:
    """Return ``x``, through which only finite slopes come back.

    A root, a power or a logarithm at the edge of its domain turns the zero slope of a branch that
    is not taken (``Where``) into ``0 * inf``.
    """
    if not x.requires_grad:
        return x
    found: torch.Tensor = _FiniteGradient.apply(x)  # type: ignore[no-untyped-call]  # torch's own
    return found
