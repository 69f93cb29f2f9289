"""Quantised convolutions and matrix products.

The factors are multiplied in float32 in the order of ONNX Runtime's CPU kernels, on which the last
bit of the result depends: input scale times weight scale, divided by the output's scale.
"""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.integers import by_row, correlation, product
from auditor.twins.operators.quantised import MICROSOFT, range_of
from auditor.twins.operators.quantised_values import along, centre, limits_of, settle
from auditor.twins.registry import operator


@operator("QLinearConv", since=10)
@operator("QLinearConv", domain=MICROSOFT)
def qlinear_conv(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: Attributes,
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
    values = centre(x, x_zero)
    values = values.movedim(-1, 1) if last else values
    sums = correlation(attributes, values, centre(weight, weight_zero, 0))
    if bias is not None:
        sums = sums + along(bias, sums, 1)
    factor = x_scale.reshape(()) * weight_scale.reshape(-1) / y_scale.reshape(())
    scaled = sums.to(torch.float32) * along(factor, sums, 1)
    found = settle(scaled, limits_of(y_zero), y_zero)
    return found.movedim(1, -1) if last else found


@operator("QLinearMatMul", since=10)
def qlinear_matmul(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    _: Attributes,
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
    sums = product(centre(a, by_row(a_zero)), centre(b, b_zero))
    factor = by_row_of(a_scale) * b_scale / y_scale
    return settle(sums.to(torch.float32) * factor.to(torch.float32), limits_of(y_zero), y_zero)


@operator("QGemm", domain=MICROSOFT)
def qgemm(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
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
    left = centre(a, a_zero)
    weights = centre(b, b_zero, 0 if right else 1)
    sums = product(
        left.t() if attributes.integer("transA") else left, weights.t() if right else weights
    )
    if c is not None:
        sums = sums + c
    alpha = torch.tensor(attributes.number("alpha", 1.0))
    factor = alpha * a_scale.reshape(()) * b_scale.reshape(-1)
    if y_scale is None:
        return sums.to(torch.float32) * factor
    scaled = sums.to(torch.float32) * (factor / y_scale.reshape(()))
    return settle(scaled, limits_of(y_zero), 0 if y_zero is None else y_zero)


@operator("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: Attributes,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Return the product of two quantised matrices as float32."""
    sums = product(centre(a, a_zero), centre(b, b_zero)).to(torch.float32)
    scaled = sums * (a_scale * b_scale)
    return scaled if bias is None else scaled + bias


@operator("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
    a: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Return ``a`` quantised by its own range, times a quantised matrix, as float32."""
    scale, zero = range_of(a)
    whole = settle(a / scale, limits_of(zero), zero)
    return matmul_integer_to_float(attributes, whole, b, scale, b_scale, zero, b_zero, bias)


def by_row_of(scale: Tensor) -> Tensor:
    """Return scales of a matrix' rows as a column."""
    found = by_row(scale)
    return scale if found is None else found
