"""Comparisons, logic and choice. They decide, so no gradient flows through their conditions."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator


@operator("Where")
def where(_: Attributes, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Take from ``a`` where the condition holds, else from ``b``."""
    return torch.where(condition, a, b)


@operator("Equal")
def equal(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a == b``."""
    return torch.eq(a, b)


@operator("Greater")
def greater(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a > b``."""
    return torch.gt(a, b)


@operator("GreaterOrEqual")
def greater_or_equal(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a >= b``."""
    return torch.ge(a, b)


@operator("Less")
def less(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a < b``."""
    return torch.lt(a, b)


@operator("LessOrEqual")
def less_or_equal(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a <= b``."""
    return torch.le(a, b)


@operator("And")
def both(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether both hold."""
    return torch.logical_and(a, b)


@operator("Or")
def either(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether one holds."""
    return torch.logical_or(a, b)


@operator("Xor")
def one(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return whether exactly one holds."""
    return torch.logical_xor(a, b)


@operator("Not")
def negation(_: Attributes, x: Tensor) -> Tensor:
    """Return whether it does not hold."""
    return torch.logical_not(x)


@operator("IsNaN")
def is_nan(_: Attributes, x: Tensor) -> Tensor:
    """Return where a value is not a number."""
    return torch.isnan(x)


@operator("IsInf")
def is_infinite(attributes: Attributes, x: Tensor) -> Tensor:
    """Return where a value is infinite, in the directions that are asked for."""
    above = torch.isposinf(x) if attributes.integer("detect_positive", 1) else False
    below = torch.isneginf(x) if attributes.integer("detect_negative", 1) else False
    return torch.zeros_like(x, dtype=torch.bool) | above | below
