"""Integers that a gradient can pass through: what the quantised operators share.

A quantised value is a float32 tensor that holds whole numbers, an accumulator (int32 in the
model) a float64 tensor, so that both are exact and both have a gradient. Rounding lets the
gradient pass as it is (see ``auditor.twins.rounding``). Saturation stops it, from half a step
beyond the range on: up to there the value would round to the limit anyway, and a picture's whitest
pixel, which calibration puts there, keeps its gradient.
"""

from dataclasses import dataclass

import torch
from onnx import TensorProto
from torch import Tensor

from auditor.twins.rounding import straight_through

EXACT_IN_FLOAT32 = 2.0**24
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """The smallest and the largest integer of a type."""

    low: int
    high: int

    def around(self, zero: Tensor | int) -> "tuple[Tensor, Tensor]":
        """Return the limits as float32, counted from a zero point."""
        shift = torch.as_tensor(zero).to(torch.float32)
        return self.low - shift, self.high - shift


_BY_DTYPE = {
    torch.uint8: Limits(0, 2**8 - 1),
    torch.int8: Limits(-(2**7), 2**7 - 1),
    torch.int16: Limits(-(2**15), 2**15 - 1),
}
_BY_KIND: dict[int, Limits] = {
    TensorProto.UINT8: Limits(0, 2**8 - 1),
    TensorProto.INT8: Limits(-(2**7), 2**7 - 1),
    TensorProto.UINT16: Limits(0, 2**16 - 1),
    TensorProto.INT16: Limits(-(2**15), 2**15 - 1),
    TensorProto.UINT4: Limits(0, 2**4 - 1),
    TensorProto.INT4: Limits(-(2**3), 2**3 - 1),
    TensorProto.UINT2: Limits(0, 2**2 - 1),
    TensorProto.INT2: Limits(-(2**1), 2**1 - 1),
}


def limits_of(*zeros: Tensor | None, kind: int = TensorProto.UNDEFINED) -> Limits:
    """Return the range of a quantised type: of ONNX's ``kind``, else of the first zero point.

    uint8 where there is neither. Raises ``ValueError`` for what is no integer of up to 16 bits.
    """
    given = next((zero for zero in zeros if zero is not None), None)
    if kind != TensorProto.UNDEFINED:
        found, name = _BY_KIND.get(kind), TensorProto.DataType.Name(kind)
    elif given is None:
        found, name = _BY_DTYPE[torch.uint8], "uint8"
    else:
        found, name = _BY_DTYPE.get(given.dtype), str(given.dtype)
    if found is None:
        message = f"quantised values of the type {name}"
        raise ValueError(message)
    return found


def settle(value: Tensor, limits: Limits, zero: Tensor | int) -> Tensor:
    """Round ``value`` half to even, saturate ``value + zero`` and return it as whole float32."""
    low, high = limits.around(zero)
    near = torch.minimum(torch.maximum(value, low - HALF), high + HALF)
    with torch.no_grad():
        whole = torch.round(torch.minimum(torch.maximum(value, low), high)).to(torch.float32)
        shifted = whole + zero
    return straight_through(shifted, near.to(torch.float32))


def centre(x: Tensor, zero: Tensor | None, axis: int | None = None) -> Tensor:
    """Return ``x - zero`` as exact whole numbers: float32 of up to 16 bits, float64 of wider."""
    wide = x.dtype in {torch.int32, torch.int64, torch.float64}
    whole = x.to(torch.float64 if wide else torch.float32)
    return whole if zero is None else whole - along(zero, x, axis).to(whole.dtype)


def along(parameter: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """Return a parameter, one or one a slice of ``axis``, in a shape that broadcasts with ``x``."""
    if parameter.numel() == 1 or axis is None:
        return parameter.reshape(()) if parameter.numel() == 1 else parameter
    shape = [1] * x.dim()
    shape[axis] = parameter.numel()
    return parameter.reshape(shape)


def accumulating(a: Tensor, b: Tensor, terms: int) -> torch.dtype:
    """Return a type in which sums of ``terms`` products of ``a`` and ``b`` are exact.

    float32 where no sum can pass 2**24, which is several times as fast, else float64.
    """
    with torch.no_grad():
        most = float(a.abs().max()) * float(b.abs().max()) * terms if a.numel() else 0.0
    return torch.float32 if most < EXACT_IN_FLOAT32 else torch.float64
