"""Quantised convolutions and matrix products.

The factors are multiplied in float32 in the order of ONNX Runtime's CPU kernels, on which the last
bit of the result depends: input scale times weight scale, divided by the output's scale.
"""

import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.linear import integer_convolution, integer_product, zero_points_by_row
from auditor.onnx.operators.quantised import (
    MICROSOFT,
    align_to_axis,
    dynamic_range,
    saturate,
    subtract_zero_point,
    type_limits,
)


@register_operator("QLinearConv", since=10)
@register_operator("QLinearConv", domain=MICROSOFT)
def qlinear_conv(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    bias: Tensor | None = None,
) -> Tensor:
    """Return the quantised convolution; ``channels_last`` is how ONNX Runtime lays out its own."""
    last = bool(attributes.integer("channels_last"))
    values = subtract_zero_point(x, x_zero)
    values = values.movedim(-1, 1) if last else values
    sums = integer_convolution(attributes, values, subtract_zero_point(weight, weight_zero, 0))
    if bias is not None:
        sums = sums + align_to_axis(bias, sums, 1)
    factor = x_scale.reshape(()) * weight_scale.reshape(-1) / y_scale.reshape(())
    scaled = sums.to(torch.float32) * align_to_axis(factor, sums, 1)
    found = saturate(scaled, type_limits(y_zero), y_zero)
    return found.movedim(1, -1) if last else found


@register_operator("QLinearMatMul", since=10)
def qlinear_matmul(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    _: NodeAttributes,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    """Return the quantised matrix product, with one scale or one a column of ``b``."""
    sums = integer_product(
        subtract_zero_point(a, zero_points_by_row(a_zero)), subtract_zero_point(b, b_zero)
    )
    factor = scales_by_row(a_scale) * b_scale / y_scale
    return saturate(sums.to(torch.float32) * factor.to(torch.float32), type_limits(y_zero), y_zero)


@register_operator("QGemm", domain=MICROSOFT)
def qgemm(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    c: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return ``alpha * A @ B + C``, quantised, or as float32 where no output scale is given.

    ``C`` holds int32 in steps of ``alpha * a_scale * b_scale``.
    """
    right = attributes.integer("transB")
    left = subtract_zero_point(a, a_zero)
    weights = subtract_zero_point(b, b_zero, 0 if right else 1)
    sums = integer_product(
        left.t() if attributes.integer("transA") else left, weights.t() if right else weights
    )
    if c is not None:
        sums = sums + c
    alpha = torch.tensor(attributes.number("alpha", 1.0))
    factor = alpha * a_scale.reshape(()) * b_scale.reshape(-1)
    if y_scale is None:
        return sums.to(torch.float32) * factor
    scaled = sums.to(torch.float32) * (factor / y_scale.reshape(()))
    return saturate(scaled, type_limits(y_zero), 0 if y_zero is None else y_zero)


@register_operator("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: NodeAttributes,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Return the product of two quantised matrices as float32."""
    sums = integer_product(subtract_zero_point(a, a_zero), subtract_zero_point(b, b_zero)).to(
        torch.float32
    )
    scaled = sums * (a_scale * b_scale)
    return scaled if bias is None else scaled + bias


@register_operator("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    a: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Return ``a`` quantised by its own range, times a quantised matrix, as float32."""
    scale, zero = dynamic_range(a)
    whole = saturate(a / scale, type_limits(zero), zero)
    return matmul_integer_to_float(attributes, whole, b, scale, b_scale, zero, b_zero, bias)


def scales_by_row(scale: Tensor) -> Tensor:
    """Return scales of a matrix' rows as a column."""
    found = zero_points_by_row(scale)
    return scale if found is None else found
