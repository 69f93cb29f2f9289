"""ONNX activation functions, including the fused ones of ONNX Runtime."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.quantised import MICROSOFT


@register_operator("Relu")
def relu(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the positive part."""
    return functional.relu(x)


@register_operator("LeakyRelu")
def leaky_relu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x``, negative parts scaled by ``alpha``."""
    return functional.leaky_relu(x, attributes.number("alpha", 0.01))


@register_operator("PRelu")
def prelu(_: NodeAttributes, x: Tensor, slope: Tensor) -> Tensor:
    """Return ``x``, negative parts scaled by ``slope``."""
    return torch.where(x < 0, slope * x, x)


@register_operator("ThresholdedRelu")
def thresholded_relu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x`` where it exceeds ``alpha``, else 0."""
    return torch.where(x > attributes.number("alpha", 1.0), x, torch.zeros_like(x))


@register_operator("Elu")
def elu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the exponential linear unit."""
    return functional.elu(x, attributes.number("alpha", 1.0))


@register_operator("Celu")
def celu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the continuously differentiable exponential linear unit."""
    return functional.celu(x, attributes.number("alpha", 1.0))


@register_operator("Selu")
def selu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the scaled exponential linear unit."""
    alpha = attributes.number("alpha", 1.6732632423543772)
    return attributes.number("gamma", 1.0507009873554805) * functional.elu(x, alpha)


@register_operator("Sigmoid")
def sigmoid(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the logistic function."""
    return torch.sigmoid(x)


@register_operator("HardSigmoid")
def hard_sigmoid(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``alpha * x + beta``, clipped to 0..1."""
    return torch.clamp(attributes.number("alpha", 0.2) * x + attributes.number("beta", 0.5), 0, 1)


@register_operator("HardSwish")
def hard_swish(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x`` times a clipped line."""
    return x * torch.clamp(x / 6 + 0.5, 0, 1)


@register_operator("Swish", since=24)
def swish(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x`` times the logistic function of ``alpha * x``."""
    return x * torch.sigmoid(attributes.number("alpha", 1.0) * x)


@register_operator("Tanh")
def tanh(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return torch.tanh(x)


@register_operator("Softplus")
def softplus(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``log(1 + exp(x))``."""
    return functional.softplus(x)


@register_operator("Softsign")
def softsign(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x / (1 + |x|)``."""
    return functional.softsign(x)


@register_operator("Mish")
def mish(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x * tanh(softplus(x))``."""
    return functional.mish(x)


@register_operator("Gelu", since=20)
def gelu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the Gaussian error linear unit, exact or by tanh."""
    return functional.gelu(x, approximate=attributes.text("approximate", "none"))


@register_operator("Softmax", since=13)
def softmax(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the softmax along one axis."""
    return torch.softmax(x, attributes.integer("axis", -1))


@register_operator("LogSoftmax", since=13)
def log_softmax(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the logarithm of the softmax along one axis."""
    return torch.log_softmax(x, attributes.integer("axis", -1))


@register_operator("Softmax")
def flat_softmax(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the softmax over all axes from ``axis`` on (before opset 13)."""
    return torch.softmax(_flat(x, attributes.integer("axis", 1)), 1).reshape(x.shape)


@register_operator("LogSoftmax")
def flat_log_softmax(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the logarithm of the softmax over all axes from ``axis`` on (before opset 13)."""
    return torch.log_softmax(_flat(x, attributes.integer("axis", 1)), 1).reshape(x.shape)


@register_operator("Shrink")
def shrink(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x`` moved towards 0 by ``bias`` beyond ``lambd`` on either side, else 0."""
    bound, bias = attributes.number("lambd", 0.5), attributes.number("bias", 0.0)
    outside = torch.where(x < -bound, x + bias, torch.zeros_like(x))
    return torch.where(x > bound, x - bias, outside)


@register_operator("Hardmax", since=13)
def hardmax(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return 1 at the first largest value along one axis, else 0; no gradient flows through it."""
    axis = attributes.integer("axis", -1)
    best = x.argmax(dim=axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, best, 1).detach()


@register_operator("Hardmax")
def flat_hardmax(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return 1 at the largest of all values from ``axis`` on, else 0 (before opset 13)."""
    flat = _flat(x, attributes.integer("axis", 1))
    best = flat.argmax(dim=1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, best, 1).reshape(x.shape).detach()


def _flat(x: Tensor, axis: int) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)


PLAIN: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "Relu": torch.relu,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
}
STEEPNESS = 1.702
"""How steep a logistic function comes nearest to the normal distribution's."""


@register_operator("Gelu", domain=MICROSOFT)
def contrib_gelu(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the exact Gaussian error linear unit."""
    return functional.gelu(x)


@register_operator("BiasGelu", domain=MICROSOFT)
def bias_gelu(_: NodeAttributes, x: Tensor, bias: Tensor) -> Tensor:
    """Return the exact Gaussian error linear unit of a sum."""
    return functional.gelu(x + bias)


@register_operator("FastGelu", domain=MICROSOFT)
def fast_gelu(_: NodeAttributes, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the Gaussian error linear unit, approximated by tanh."""
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


@register_operator("QuickGelu", domain=MICROSOFT)
def quick_gelu(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x`` times the logistic function of ``alpha * x``."""
    return x * torch.sigmoid(attributes.number("alpha", STEEPNESS) * x)


def apply_activation(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ``x`` after the activation that a fused node names.

    Raises ``ValueError`` for one that ONNX Runtime does not fuse.
    """
    name = attributes.text("activation")
    listed = attributes.numbers("activation_params")
    alpha = attributes.number("activation_alpha", attributes.number("leaky_relu_alpha", 0.01))
    given = (*listed, alpha, attributes.number("activation_beta"))[:2]
    first, second = given[0], given[1]
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
