"""Activations that ONNX Runtime makes of several nodes."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised import MICROSOFT
from auditor.twins.registry import operator

PLAIN: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "Relu": torch.relu,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
}
STEEPNESS = 1.702
"""How steep a logistic function comes nearest to the normal distribution's."""


@operator("Gelu", domain=MICROSOFT)
def gelu(_: Attributes, x: Tensor) -> Tensor:
    """Return the exact Gaussian error linear unit."""
    return functional.gelu(x)


@operator("BiasGelu", domain=MICROSOFT)
def bias_gelu(_: Attributes, x: Tensor, bias: Tensor) -> Tensor:
    """Return the exact Gaussian error linear unit of a sum."""
    return functional.gelu(x + bias)


@operator("FastGelu", domain=MICROSOFT)
def fast_gelu(_: Attributes, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the Gaussian error linear unit, approximated by tanh."""
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=MICROSOFT)
def quick_gelu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``x`` times the logistic function of ``alpha * x``."""
    return x * torch.sigmoid(attributes.number("alpha", STEEPNESS) * x)


def activated(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``x`` after the activation that a fused node names.

    Raises ``ValueError`` for one that ONNX Runtime does not fuse.
    """
    name = attributes.text("activation")
    first, second = _parameters(attributes)
    if name == "Clip":
        return torch.clamp(x, first, second)
    if name == "LeakyRelu":
        return functional.leaky_relu(x, first)
    if name == "HardSigmoid":
        return torch.clamp(first * x + second, 0, 1)
    if name not in PLAIN:
        message = f"the fused activation {name}"
        raise ValueError(message)
    return PLAIN[name](x)


def _parameters(attributes: Attributes) -> tuple[float, float]:
    listed = attributes.numbers("activation_params")
    alpha = attributes.number("activation_alpha", attributes.number("leaky_relu_alpha", 0.01))
    given = (*listed, alpha, attributes.number("activation_beta"))[:2]
    return given[0], given[1]
