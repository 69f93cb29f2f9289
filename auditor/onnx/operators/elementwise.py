"""ONNX elementwise operators: arithmetic, rounding, comparison, logic, bits and trigonometry.

Operands broadcast as in NumPy. Rounding gives exact values, and the gradient passes as if it did
not round; ``auditor.onnx.twin.torch_twin`` explains why. ``Sign`` passes the gradient where
``|x| <= 1``, as networks with binary activations are trained (Hubara et al. 2016, "Binarized Neural
Networks", section 1.3). No gradient flows through conditions or through bits of integers.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np
import torch
from onnx import TensorProto, helper
from onnx.reference.ops.op_cast import cast_to
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.twin.torch_tensors import finite_slope, tensor_type, to_tensor
from auditor.onnx.twin.torch_twin import INTERNAL, straight_through


@register_operator("Identity")
def identity(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the input."""
    return x


@register_operator("Dropout")
def dropout(
    _: NodeAttributes, x: Tensor, __: Tensor | None = None, training: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the input, as dropout does once a model is trained, and that all of it is kept."""
    if training is not None and bool(training):
        message = "a dropout that still trains"
        raise ValueError(message)
    return x, torch.ones_like(x, dtype=torch.bool)


@register_operator("Add")
def add(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a + b``."""
    return a + b


@register_operator("Sub")
def sub(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a - b``."""
    return a - b


@register_operator("Mul")
def mul(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a * b``."""
    return a * b


SMALL = 1e-6


@register_operator("Div")
def div(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a / b``; integers are truncated towards zero."""
    if a.is_floating_point():
        # A constant that is far from zero cannot make a finite slope infinite.
        harmless = not b.requires_grad and bool((b.abs() > SMALL).all())
        return (a if harmless else finite_slope(a)) / finite_slope(b)
    return torch.div(a, b, rounding_mode="trunc")


@register_operator("Mod")
def mod(attributes: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the remainder, with the sign of ``b``, or of ``a`` where ``fmod`` is set."""
    return torch.fmod(a, b) if attributes.integer("fmod") else torch.remainder(a, b)


@register_operator("Pow")
def power(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a`` to the power of ``b``, in the type of ``a``."""
    return torch.pow(finite_slope(a), finite_slope(b)).to(a.dtype)


@register_operator("Sqrt")
def sqrt(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the square root."""
    return torch.sqrt(finite_slope(x))


@register_operator("Reciprocal")
def reciprocal(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``1 / x``."""
    return torch.reciprocal(finite_slope(x))


@register_operator("Exp")
def exp(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the exponential."""
    return torch.exp(x)


@register_operator("Log")
def log(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the natural logarithm."""
    return torch.log(finite_slope(x))


@register_operator("Abs")
def absolute(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the absolute value."""
    return torch.abs(x)


@register_operator("Neg")
def negative(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``-x``."""
    return torch.neg(x)


@register_operator("Erf")
def erf(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the error function."""
    return torch.erf(x)


@register_operator("Min")
def minimum(_: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Return the smallest of several inputs."""
    return reduce(torch.minimum, inputs)


@register_operator("Max")
def maximum(_: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Return the largest of several inputs."""
    return reduce(torch.maximum, inputs)


@register_operator("Sum")
def total(_: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Return the sum of several inputs."""
    return reduce(torch.add, inputs)


@register_operator("Mean")
def mean(_: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Return the mean of several inputs."""
    return reduce(torch.add, inputs) / len(inputs)


@register_operator("Clip")
def clip_by_attributes(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Clip to bounds that are attributes (before opset 11)."""
    limit = torch.finfo(torch.float32).max
    return torch.clamp(x, attributes.number("min", -limit), attributes.number("max", limit))


@register_operator("Clip", since=11)
def clip(
    _: NodeAttributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    """Clip to bounds that are inputs; an absent one does not bind, the upper one wins."""
    if low is not None:
        x = torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


@register_operator("Constant")
def constant(_: NodeAttributes) -> Tensor:
    """Refuse the one constant that reading a graph leaves: a text."""
    message = "a constant text"
    raise ValueError(message)


NARROW_INTEGERS = frozenset(
    {TensorProto.INT4, TensorProto.UINT4, TensorProto.INT2, TensorProto.UINT2}
)
NARROW_FLOATS = frozenset(
    {
        TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2,
        TensorProto.FLOAT8E5M2FNUZ, TensorProto.FLOAT8E8M0, TensorProto.FLOAT4E2M1,
    }
)  # fmt: skip


@register_operator("Sign")
def sign(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the sign."""
    if not x.is_floating_point():
        return torch.sign(x)
    return straight_through(torch.sign(x), torch.clamp(x, -1, 1))


@register_operator("Floor")
def floor(_: NodeAttributes, x: Tensor) -> Tensor:
    """Round down."""
    return straight_through(torch.floor(x), x)


@register_operator("Ceil")
def ceil(_: NodeAttributes, x: Tensor) -> Tensor:
    """Round up."""
    return straight_through(torch.ceil(x), x)


@register_operator("Round")
def round_half_even(_: NodeAttributes, x: Tensor) -> Tensor:
    """Round to the nearest integer, halves to even."""
    return straight_through(torch.round(x), x)


@register_operator("Smooth", domain=INTERNAL)
def recover_reals(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the real numbers that integers were made of."""
    return x.to(torch.float32)


@register_operator("Attach", domain=INTERNAL)
def attach_gradient(_: NodeAttributes, exact: Tensor, way: Tensor) -> Tensor:
    """Return integers as real numbers, with the gradient of what they were made of."""
    return straight_through(exact.to(torch.float32), way)


@register_operator("Cast")
def cast(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Change the type. Floating-point types of 16 bits and more are all computed as float32;
    narrower ones are rounded to, because they are how a model is quantised.
    """
    kind = attributes.integer("to")
    if kind not in NARROW_INTEGERS | NARROW_FLOATS:
        return x.to(tensor_type(helper.tensor_dtype_to_np_dtype(kind)))
    saturate = bool(attributes.integer("saturate", 1))
    mode = attributes.text("round_mode", "up")
    # NaN and infinity become an integer of the processor's choice; the standard asks for none.
    with np.errstate(invalid="ignore"):
        found = cast_to(x.detach().numpy(), kind, saturate, mode)  # type: ignore[arg-type]  # an enum of protobuf is an int
    if kind in NARROW_INTEGERS:
        return torch.from_numpy(found.astype(np.int8))
    return straight_through(torch.from_numpy(found.astype(np.float32)), x)


@register_operator("CastLike")
def cast_like(_: NodeAttributes, x: Tensor, other: Tensor) -> Tensor:
    """Change the type to that of another value, as a twin holds it."""
    return x.to(other.dtype)


@register_operator("Where")
def where(_: NodeAttributes, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Take from ``a`` where the condition holds, else from ``b``."""
    return torch.where(condition, a, b)


@register_operator("Equal")
def equal(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a == b``."""
    return torch.eq(a, b)


@register_operator("Greater")
def greater(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a > b``."""
    return torch.gt(a, b)


@register_operator("GreaterOrEqual")
def greater_or_equal(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a >= b``."""
    return torch.ge(a, b)


@register_operator("Less")
def less(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a < b``."""
    return torch.lt(a, b)


@register_operator("LessOrEqual")
def less_or_equal(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a <= b``."""
    return torch.le(a, b)


@register_operator("And")
def logical_and(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether both hold."""
    return torch.logical_and(a, b)


@register_operator("Or")
def logical_or(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether one holds."""
    return torch.logical_or(a, b)


@register_operator("Xor")
def logical_xor(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether exactly one holds."""
    return torch.logical_xor(a, b)


@register_operator("Not")
def logical_not(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return whether it does not hold."""
    return torch.logical_not(x)


@register_operator("IsNaN")
def is_nan(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return where a value is not a number."""
    return torch.isnan(x)


@register_operator("IsInf")
def is_infinite(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return where a value is infinite, in the directions that are asked for."""
    above = torch.isposinf(x) if attributes.integer("detect_positive", 1) else False
    below = torch.isneginf(x) if attributes.integer("detect_negative", 1) else False
    return torch.zeros_like(x, dtype=torch.bool) | above | below


@register_operator("BitwiseAnd")
def bitwise_and(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the bits that both have."""
    return torch.bitwise_and(a, b)


@register_operator("BitwiseOr")
def bitwise_or(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the bits that one has."""
    return torch.bitwise_or(a, b)


@register_operator("BitwiseXor")
def bitwise_xor(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the bits that exactly one has."""
    return torch.bitwise_xor(a, b)


@register_operator("BitwiseNot")
def bitwise_not(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the bits that it does not have."""
    return torch.bitwise_not(x)


@register_operator("BitShift")
def bit_shift(attributes: NodeAttributes, x: Tensor, by: Tensor) -> Tensor:
    """Shift bits to the left or to the right, by as many places as the type has at most."""
    width = torch.iinfo(x.dtype).bits
    places = by.to(torch.int64)
    inside = (places >= 0) & (places < width)
    safe = torch.where(inside, places, torch.zeros_like(places))
    if attributes.text("direction") == "LEFT":
        shifted = torch.bitwise_left_shift(x.to(torch.int64), safe).to(x.dtype)
        beyond = torch.zeros_like(shifted)
    else:
        shifted = torch.bitwise_right_shift(x.to(torch.int64), safe).to(x.dtype)
        beyond = torch.where(x < 0, -1, 0).to(x.dtype)
    return torch.where(inside, shifted, beyond)


@register_operator("BitCast")
def bit_cast(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Read the same bits as another type of the same width."""
    kind = helper.tensor_dtype_to_np_dtype(attributes.integer("to"))
    array = x.detach().numpy()
    if array.dtype.itemsize != kind.itemsize:
        message = f"a twin holds the bits of {array.dtype} and not those of the model's type"
        raise ValueError(message)
    return to_tensor(array.view(kind))


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
}


def _claim(name: str, function: Callable[[Tensor], Tensor]) -> None:
    @register_operator(name)
    def apply(_: NodeAttributes, x: Tensor) -> Tensor:
        return function(x)


for _name, _function in FUNCTIONS.items():
    _claim(_name, _function)
