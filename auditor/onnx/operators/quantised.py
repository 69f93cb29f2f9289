"""ONNX quantised operators: quantisation, arithmetic, pooling and activations.

A quantised value is a float32 tensor of whole numbers, and an accumulator (int32 in the model) a
float64 tensor, so that both are exact and both have a gradient. Rounding passes the gradient
unchanged (see ``auditor.onnx.twin.torch_twin``). Saturation stops it, from half a step beyond the
range on: up to there the value would round to the limit anyway, and an image's whitest pixel, which
calibration puts there, keeps its gradient.

``approximate_logistic`` matches ONNX Runtime's CPU kernels to the last bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.convolutions import average_pool, max_pool
from auditor.onnx.twin.torch_twin import straight_through

EXACT_IN_FLOAT32 = 2.0**24
HALF = 0.5


@dataclass(frozen=True, slots=True)
class IntegerLimits:
    """The smallest and the largest integer of a type."""

    low: int
    high: int

    def around(self, zero: Tensor | int) -> "tuple[Tensor, Tensor]":
        """Return the limits as float32, counted from a zero point."""
        shift = torch.as_tensor(zero).to(torch.float32)
        return self.low - shift, self.high - shift


_BY_DTYPE = {
    torch.uint8: IntegerLimits(0, 2**8 - 1),
    torch.int8: IntegerLimits(-(2**7), 2**7 - 1),
    torch.int16: IntegerLimits(-(2**15), 2**15 - 1),
}
_BY_KIND: dict[int, IntegerLimits] = {
    TensorProto.UINT8: IntegerLimits(0, 2**8 - 1),
    TensorProto.INT8: IntegerLimits(-(2**7), 2**7 - 1),
    TensorProto.UINT16: IntegerLimits(0, 2**16 - 1),
    TensorProto.INT16: IntegerLimits(-(2**15), 2**15 - 1),
    TensorProto.UINT4: IntegerLimits(0, 2**4 - 1),
    TensorProto.INT4: IntegerLimits(-(2**3), 2**3 - 1),
    TensorProto.UINT2: IntegerLimits(0, 2**2 - 1),
    TensorProto.INT2: IntegerLimits(-(2**1), 2**1 - 1),
}


def type_limits(*zeros: Tensor | None, kind: int = TensorProto.UNDEFINED) -> IntegerLimits:
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


def saturate(value: Tensor, limits: IntegerLimits, zero: Tensor | int) -> Tensor:
    """Round ``value`` half to even, saturate ``value + zero`` and return it as whole float32."""
    low, high = limits.around(zero)
    near = torch.minimum(torch.maximum(value, low - HALF), high + HALF)
    with torch.no_grad():
        whole = torch.round(torch.minimum(torch.maximum(value, low), high)).to(torch.float32)
        shifted = whole + zero
    return straight_through(shifted, near.to(torch.float32))


def subtract_zero_point(x: Tensor, zero: Tensor | None, axis: int | None = None) -> Tensor:
    """Return ``x - zero`` as exact whole numbers: float32 of up to 16 bits, float64 of wider."""
    wide = x.dtype in {torch.int32, torch.int64, torch.float64}
    whole = x.to(torch.float64 if wide else torch.float32)
    return whole if zero is None else whole - align_to_axis(zero, x, axis).to(whole.dtype)


def align_to_axis(parameter: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """Return a parameter, one or one a slice of ``axis``, in a shape that broadcasts with ``x``."""
    if parameter.numel() == 1 or axis is None:
        return parameter.reshape(()) if parameter.numel() == 1 else parameter
    shape = [1] * x.dim()
    shape[axis] = parameter.numel()
    return parameter.reshape(shape)


def accumulator_type(a: Tensor, b: Tensor, terms: int) -> torch.dtype:
    """Return a type in which sums of ``terms`` products of ``a`` and ``b`` are exact.

    float32 where no sum can pass 2**24, which is several times as fast, else float64.
    """
    with torch.no_grad():
        most = float(a.abs().max()) * float(b.abs().max()) * terms if a.numel() else 0.0
    return torch.float32 if most < EXACT_IN_FLOAT32 else torch.float64


MICROSOFT = "com.microsoft"
UINT8_MOST = 255


@register_operator("QuantizeLinear")
@register_operator("QuantizeLinear", domain=MICROSOFT)
def quantize_linear(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    """Return ``x / scale + zero``, rounded half to even and saturated.

    One scale, one a slice of ``axis``, or one a block of ``block_size`` along it.
    """
    kind = attributes.integer("output_dtype", TensorProto.UNDEFINED)
    limits = type_limits(zero, kind=kind)
    scale = _spread(attributes, scale, x)
    start = 0 if zero is None else _spread(attributes, zero, x).to(torch.float32)
    return saturate(x.to(torch.float32) / scale, limits, start)


@register_operator("DequantizeLinear")
@register_operator("DequantizeLinear", domain=MICROSOFT)
def dequantize_linear(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    """Return ``(x - zero) * scale`` as float32, scales as in ``QuantizeLinear``."""
    start = None if zero is None else _spread(attributes, zero, x)
    return subtract_zero_point(x, start).to(torch.float32) * _spread(attributes, scale, x)


@register_operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(_: NodeAttributes, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return uint8 values, and the scale and zero point that the values' own range gives.

    The range counts as a constant: its share of the gradient cancels where the values are
    multiplied by their scale again.
    """
    scale, zero = dynamic_range(x)
    return saturate(x / scale, type_limits(zero), zero), scale, zero


def dynamic_range(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the float32 scale and the uint8 zero point of ``x``, without a gradient.

    The range is that of the whole tensor and includes 0, so that rows which run together share it.
    """
    with torch.no_grad():
        low = torch.clamp(x.min(), max=0.0)
        high = torch.clamp(x.max(), min=0.0)
        scale = torch.where(high == low, torch.ones_like(low), (high - low) / UINT8_MOST)
        zero = torch.round(torch.clamp(-low / scale, 0, UINT8_MOST)).to(torch.uint8)
    return scale, zero


def _spread(attributes: NodeAttributes, parameter: Tensor, x: Tensor) -> Tensor:
    """Return scales or zero points in a shape that broadcasts with ``x``."""
    axis = attributes.integer("axis", 1)
    block = attributes.integer("block_size")
    if not block or parameter.numel() == 1:
        return align_to_axis(parameter, x, axis)
    repeated = parameter.repeat_interleave(block, dim=axis)
    return repeated.narrow(axis, 0, x.shape[axis])


PARTS = 3
"""A quantised input of a variadic operator: values, scale, zero point."""


@register_operator("QLinearAdd", domain=MICROSOFT)
def qlinear_add(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: NodeAttributes,
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
    if a.numel() == 1:
        repeats = b.numel() > 1
    else:
        repeats = a.shape[-1] == 1 and b.dim() > 0 and b.shape[-1] > 1
    if repeats:
        first, second = second, first
    ratios = [(scale / y_scale).to(torch.float64) for _, scale, _ in (first, second)]
    zeros = [_number(zero) for _, _, zero in (first, second)]
    inner = (zeros[0] * ratios[0] + (zeros[1] * ratios[1]).to(torch.float32)).to(torch.float32)
    partly = (second[0].to(torch.float64) * ratios[1] + (_number(y_zero) - inner)).to(torch.float32)
    total = (first[0].to(torch.float64) * ratios[0] + partly).to(torch.float32)
    return saturate(total, type_limits(y_zero, a_zero), 0)


@register_operator("QLinearMul", domain=MICROSOFT)
def qlinear_mul(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: NodeAttributes,
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
    scaled = subtract_zero_point(a, a_zero) * subtract_zero_point(b, b_zero) * ratio + _number(
        y_zero
    )
    return saturate(scaled, type_limits(y_zero, a_zero), 0)


@register_operator("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(
    attributes: NodeAttributes, y_scale: Tensor, y_zero: Tensor, *inputs: Tensor
) -> Tensor:
    """Join values along an axis, each brought to the scale of the result."""
    triples = [inputs[start : start + PARTS] for start in range(0, len(inputs), PARTS)]
    parts = [requantise(x, scale, zero, y_scale, y_zero) for x, scale, zero in triples]
    return torch.cat(parts, attributes.integer("axis"))


@register_operator("QLinearWhere", domain=MICROSOFT)
def qlinear_where(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    _: NodeAttributes,
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
        requantise(x, x_scale, x_zero, z_scale, z_zero),
        requantise(y, y_scale, y_zero, z_scale, z_zero),
    )


def requantise(
    x: Tensor, scale: Tensor, zero: Tensor | None, y_scale: Tensor, y_zero: Tensor | None
) -> Tensor:
    """Return quantised values in another scale; where the two are the same, the values."""
    same = zero is not None and y_zero is not None and bool((zero == y_zero).all())
    if same and bool((scale == y_scale).all()):
        return x.to(torch.float32)
    value = subtract_zero_point(x, zero) * scale / y_scale
    return saturate(value, type_limits(y_zero, zero), 0 if y_zero is None else y_zero)


def _number(zero: Tensor | None) -> Tensor:
    return torch.zeros(()) if zero is None else zero.to(torch.float32)


WIDEST = 18.0
NUMERATOR = (
    4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03,
    2.48287947061529e-01,
)  # fmt: skip
DENOMINATOR = (
    6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03,
    1.16817656904453e-01, 9.93151921023180e-01,
)  # fmt: skip
"""Coefficients in ``x ** 2`` of a rational function, highest first (onnxruntime MLAS, logistic)."""


def approximate_logistic(x: Tensor) -> Tensor:
    """Return the approximation of the logistic function, in float32, without a gradient."""
    near = torch.clamp(x.detach(), -WIDEST, WIDEST)
    square = near * near
    ratio = _polynomial(NUMERATOR, square) * near / _polynomial(DENOMINATOR, square)
    return torch.clamp(ratio + 0.5, 0, 1)


def _polynomial(coefficients: tuple[float, ...], square: Tensor) -> Tensor:
    """Return a polynomial by Horner's rule, in products and sums that are rounded once."""
    found = torch.full_like(square, coefficients[0])
    for coefficient in coefficients[1:]:
        added = torch.tensor(coefficient, dtype=torch.float32).to(torch.float64)
        found = (found.to(torch.float64) * square.to(torch.float64) + added).to(torch.float32)
    return found


LAST_WITH_FLAT_SOFTMAX = 12
RESERVED = 5.0
"""How far below the largest float ONNX Runtime keeps the sums of its softmax, in nats."""


@register_operator("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised mean of each window; the zero point is added before rounding."""
    last = bool(attributes.integer("channels_last"))
    values = subtract_zero_point(x, x_zero) * x_scale
    values = values.movedim(-1, 1) if last else values
    value = average_pool(attributes, values) / y_scale
    limits = type_limits(y_zero, x_zero)
    found = saturate(value if y_zero is None else value + y_zero.to(torch.float32), limits, 0)
    return found.movedim(1, -1) if last else found


@register_operator("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised mean over all spatial axes: an exact sum, scaled once."""
    last = bool(attributes.integer("channels_last"))
    axes = tuple(range(1, x.dim() - 1)) if last else tuple(range(2, x.dim()))
    sums = subtract_zero_point(x, x_zero).to(torch.float64).sum(dim=axes, keepdim=True)
    size = x[0].numel() // x.shape[-1 if last else 1]
    factor = x_scale / (y_scale * torch.tensor(float(size)))
    zero = 0 if y_zero is None else y_zero
    return saturate(sums.to(torch.float32) * factor, type_limits(y_zero, x_zero), zero)


def _claim(name: str, function: Callable[[NodeAttributes, Tensor], Tensor]) -> None:
    @register_operator(name, domain=MICROSOFT)
    def looked_up(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
        attributes: NodeAttributes,
        x: Tensor,
        x_scale: Tensor,
        x_zero: Tensor | None,
        y_scale: Tensor,
        y_zero: Tensor | None = None,
    ) -> Tensor:
        value = function(attributes, subtract_zero_point(x, x_zero) * x_scale)
        return saturate(
            value / y_scale, type_limits(y_zero, x_zero), 0 if y_zero is None else y_zero
        )


def _leaky(attributes: NodeAttributes, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, attributes.number("alpha", 0.01))


def _sigmoid(_: NodeAttributes, x: Tensor) -> Tensor:
    return straight_through(approximate_logistic(x), torch.sigmoid(x))


_claim("QLinearLeakyRelu", _leaky)
_claim("QLinearSigmoid", _sigmoid)


@register_operator("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """Return the quantised softmax, in whole steps of ``1 / floor(1 / y_scale)``.

    Before opset 13 it runs over all axes from ``axis`` on. The gradient is that of the softmax.
    """
    flat = attributes.integer("opset", LAST_WITH_FLAT_SOFTMAX + 1) <= LAST_WITH_FLAT_SOFTMAX
    axis = attributes.integer("axis", 1 if flat else -1) % x.dim()
    rows = subtract_zero_point(x.flatten(axis) if flat else x.movedim(axis, -1), None)
    steps = torch.floor(1.0 / y_scale.reshape(()))
    smooth = torch.softmax(rows * x_scale.reshape(()), -1) * steps
    with torch.no_grad():
        powers = _powers(rows, x_scale.reshape(()))
        # Summed one by one in float32 (torch keeps more digits), divided in float64: as measured.
        sums = torch.from_numpy(np.add.accumulate(powers.numpy(), axis=-1, dtype=np.float32))
        shares = powers.to(torch.float64) * steps / sums[..., -1:].to(torch.float64)
        whole = torch.round(shares).to(torch.float32)
        shift = 0 if y_zero is None else y_zero.to(torch.float32)
        limits = type_limits(y_zero, x_zero)
        found = torch.clamp(whole + shift, limits.low, limits.high)
    found = straight_through(found, smooth)
    return found.reshape(x.shape) if flat else found.movedim(-1, axis)


def _powers(rows: Tensor, scale: Tensor) -> Tensor:
    """Return ``exp(scale * (x - max))`` times a constant, as the table of ONNX Runtime holds it."""
    most = torch.tensor(torch.finfo(torch.float32).max) / rows.shape[-1]
    shift = (torch.log(most).to(torch.float64) - RESERVED) / scale.to(torch.float64)
    below = (rows - rows.amax(-1, keepdim=True)).to(torch.float64)
    return torch.exp((below + shift) * scale.to(torch.float64)).to(torch.float32)


@register_operator("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the largest value in each window of an image whose channels come last."""
    return max_pool(attributes, x.movedim(-1, 1)).movedim(1, -1)
