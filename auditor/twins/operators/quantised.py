"""From numbers to quantised ones and back, with scales that are given or found on the way."""

import torch
from onnx import TensorProto
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised_values import along, centre, limits_of, settle
from auditor.twins.registry import operator

MICROSOFT = "com.microsoft"
UINT8_MOST = 255


@operator("QuantizeLinear")
@operator("QuantizeLinear", domain=MICROSOFT)
def quantize_linear(
    attributes: Attributes, x: Tensor, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    """Return ``x / scale + zero``, rounded half to even and saturated.

    One scale, one a slice of ``axis``, or one a block of ``block_size`` along it.
    """
    kind = attributes.integer("output_dtype", TensorProto.UNDEFINED)
    limits = limits_of(zero, kind=kind)
    scale = _spread(attributes, scale, x)
    start = 0 if zero is None else _spread(attributes, zero, x).to(torch.float32)
    return settle(x.to(torch.float32) / scale, limits, start)


@operator("DequantizeLinear")
@operator("DequantizeLinear", domain=MICROSOFT)
def dequantize_linear(
    attributes: Attributes, x: Tensor, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    """Return ``(x - zero) * scale`` as float32, scales as in ``QuantizeLinear``."""
    start = None if zero is None else _spread(attributes, zero, x)
    return centre(x, start).to(torch.float32) * _spread(attributes, scale, x)


@operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(_: Attributes, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return uint8 values, and the scale and zero point that the values' own range gives.

    The range counts as a constant: its share of the gradient cancels where the values are
    multiplied by their scale again.
    """
    scale, zero = range_of(x)
    return settle(x / scale, limits_of(zero), zero), scale, zero


def range_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the float32 scale and the uint8 zero point of ``x``, without a gradient.

    The range is that of the whole tensor and includes 0, so that rows which run together share it.
    """
    with torch.no_grad():
        low = torch.clamp(x.min(), max=0.0)
        high = torch.clamp(x.max(), min=0.0)
        scale = torch.where(high == low, torch.ones_like(low), (high - low) / UINT8_MOST)
        zero = torch.round(torch.clamp(-low / scale, 0, UINT8_MOST)).to(torch.uint8)
    return scale, zero


def _spread(attributes: Attributes, parameter: Tensor, x: Tensor) -> Tensor:
    """Return scales or zero points in a shape that broadcasts with ``x``."""
    axis = attributes.integer("axis", 1)
    block = attributes.integer("block_size")
    if not block or parameter.numel() == 1:
        return along(parameter, x, axis)
    repeated = parameter.repeat_interleave(block, dim=axis)
    return repeated.narrow(axis, 0, x.shape[axis])
