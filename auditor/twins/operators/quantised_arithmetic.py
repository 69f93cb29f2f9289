"""Quantised sums, products, joins and choices of two or more values."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised import MICROSOFT
from auditor.twins.operators.quantised_values import centre, limits_of, settle
from auditor.twins.registry import operator

PARTS = 3
"""A quantised input of a variadic operator: values, scale, zero point."""


@operator("QLinearAdd", domain=MICROSOFT)
def qlinear_add(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: Attributes,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor | None,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised sum, multiplied and added in the fused steps of AVX2."""
    first, second = (a, a_scale, a_zero), (b, b_scale, b_zero)
    if _repeats(a, b):
        first, second = second, first
    ratios = [(scale / y_scale).to(torch.float64) for _, scale, _ in (first, second)]
    zeros = [_number(zero) for _, _, zero in (first, second)]
    inner = (zeros[0] * ratios[0] + (zeros[1] * ratios[1]).to(torch.float32)).to(torch.float32)
    partly = (second[0].to(torch.float64) * ratios[1] + (_number(y_zero) - inner)).to(torch.float32)
    total = (first[0].to(torch.float64) * ratios[0] + partly).to(torch.float32)
    return settle(total, limits_of(y_zero, a_zero), 0)


def _repeats(a: Tensor, b: Tensor) -> bool:
    """Whether ``a`` is the one that is repeated along the last axis, and so goes second."""
    if a.numel() == 1:
        return b.numel() > 1
    return a.shape[-1] == 1 and b.dim() > 0 and b.shape[-1] > 1


@operator("QLinearMul", domain=MICROSOFT)
def qlinear_mul(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: Attributes,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor | None,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised product of two values."""
    ratio = a_scale * b_scale / y_scale
    scaled = centre(a, a_zero) * centre(b, b_zero) * ratio + _number(y_zero)
    return settle(scaled, limits_of(y_zero, a_zero), 0)


@operator("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(
    attributes: Attributes, y_scale: Tensor, y_zero: Tensor, *inputs: Tensor
) -> Tensor:
    """Join values along an axis, each brought to the scale of the result."""
    triples = [inputs[start : start + PARTS] for start in range(0, len(inputs), PARTS)]
    parts = [requantised(x, scale, zero, y_scale, y_zero) for x, scale, zero in triples]
    return torch.cat(parts, attributes.integer("axis"))


@operator("QLinearWhere", domain=MICROSOFT)
def qlinear_where(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: Attributes,
    condition: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    y: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    z_scale: Tensor,
    z_zero: Tensor,
) -> Tensor:
    """Choose between two values, each brought to the scale of the result."""
    return torch.where(
        condition.to(torch.bool),
        requantised(x, x_scale, x_zero, z_scale, z_zero),
        requantised(y, y_scale, y_zero, z_scale, z_zero),
    )


def requantised(
    x: Tensor, scale: Tensor, zero: Tensor | None, y_scale: Tensor, y_zero: Tensor | None
) -> Tensor:
    """Return quantised values in another scale; where the two are the same, the values."""
    same = zero is not None and y_zero is not None and bool((zero == y_zero).all())
    if same and bool((scale == y_scale).all()):
        return x.to(torch.float32)
    value = centre(x, zero) * scale / y_scale
    return settle(value, limits_of(y_zero, zero), 0 if y_zero is None else y_zero)


def _number(zero: Tensor | None) -> Tensor:
    return torch.zeros(()) if zero is None else zero.to(torch.float32)
