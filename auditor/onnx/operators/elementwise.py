"""Operators that act on each element, with NumPy's broadcasting."""

from functools import reduce

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator
from auditor.twins.tensors import finite_slope


@operator("Identity")
def identity(_: Attributes, x: Tensor) -> Tensor:
    """Return the input."""
    return x


@operator("Dropout")
def dropout(
    _: Attributes, x: Tensor, __: Tensor | None = None, training: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the input, as dropout does once a model is trained, and that all of it is kept."""
    if training is not None and bool(training):
        message = "a dropout that still trains"
        raise ValueError(message)
    return x, torch.ones_like(x, dtype=torch.bool)


@operator("Add")
def add(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a + b``."""
    return a + b


@operator("Sub")
def sub(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a - b``."""
    return a - b


@operator("Mul")
def mul(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a * b``."""
    return a * b


SMALL = 1e-6


@operator("Div")
def div(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a / b``; integers are truncated towards zero."""
    if a.is_floating_point():
        # A constant that is far from zero cannot make a finite slope infinite.
        harmless = not b.requires_grad and bool((b.abs() > SMALL).all())
        return (a if harmless else finite_slope(a)) / finite_slope(b)
    return torch.div(a, b, rounding_mode="trunc")


@operator("Mod")
def mod(attributes: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the remainder, with the sign of ``b``, or of ``a`` where ``fmod`` is set."""
    return torch.fmod(a, b) if attributes.integer("fmod") else torch.remainder(a, b)


@operator("Pow")
def power(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a`` to the power of ``b``, in the type of ``a``."""
    return torch.pow(finite_slope(a), finite_slope(b)).to(a.dtype)


@operator("Sqrt")
def sqrt(_: Attributes, x: Tensor) -> Tensor:
    """Return the square root."""
    return torch.sqrt(finite_slope(x))


@operator("Reciprocal")
def reciprocal(_: Attributes, x: Tensor) -> Tensor:
    """Return ``1 / x``."""
    return torch.reciprocal(finite_slope(x))


@operator("Exp")
def exp(_: Attributes, x: Tensor) -> Tensor:
    """Return the exponential."""
    return torch.exp(x)


@operator("Log")
def log(_: Attributes, x: Tensor) -> Tensor:
    """Return the natural logarithm."""
    return torch.log(finite_slope(x))


@operator("Abs")
def absolute(_: Attributes, x: Tensor) -> Tensor:
    """Return the absolute value."""
    return torch.abs(x)


@operator("Neg")
def negative(_: Attributes, x: Tensor) -> Tensor:
    """Return ``-x``."""
    return torch.neg(x)


@operator("Erf")
def erf(_: Attributes, x: Tensor) -> Tensor:
    """Return the error function."""
    return torch.erf(x)


@operator("Min")
def minimum(_: Attributes, *inputs: Tensor) -> Tensor:
    """Return the smallest of several inputs."""
    return reduce(torch.minimum, inputs)


@operator("Max")
def maximum(_: Attributes, *inputs: Tensor) -> Tensor:
    """Return the largest of several inputs."""
    return reduce(torch.maximum, inputs)


@operator("Sum")
def total(_: Attributes, *inputs: Tensor) -> Tensor:
    """Return the sum of several inputs."""
    return reduce(torch.add, inputs)


@operator("Mean")
def mean(_: Attributes, *inputs: Tensor) -> Tensor:
    """Return the mean of several inputs."""
    return reduce(torch.add, inputs) / len(inputs)


@operator("Clip")
def clip_by_attributes(attributes: Attributes, x: Tensor) -> Tensor:
    """Clip to bounds that are attributes (before opset 11)."""
    limit = torch.finfo(torch.float32).max
    return torch.clamp(x, attributes.number("min", -limit), attributes.number("max", limit))


@operator("Clip", since=11)
def clip(_: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clip to bounds that are inputs; an absent one does not bind, the upper one wins."""
    if low is not None:
        x = torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


@operator("Constant")
def constant(_: Attributes) -> Tensor:
    """Refuse the one constant that reading a graph leaves: a text."""
    message = "a constant text"
    raise ValueError(message)
