"""Activation functions."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator


@operator("Relu")
def relu(_: Attributes, x: Tensor) -> Tensor:
    """Return the positive part."""
    return functional.relu(x)


@operator("LeakyRelu")
def leaky_relu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``x``, negative parts scaled by ``alpha``."""
    return functional.leaky_relu(x, attributes.number("alpha", 0.01))


@operator("PRelu")
def prelu(_: Attributes, x: Tensor, slope: Tensor) -> Tensor:
    """Return ``x``, negative parts scaled by ``slope``."""
    return torch.where(x < 0, slope * x, x)


@operator("ThresholdedRelu")
def thresholded_relu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``x`` where it exceeds ``alpha``, else 0."""
    return torch.where(x > attributes.number("alpha", 1.0), x, torch.zeros_like(x))


@operator("Elu")
def elu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the exponential linear unit."""
    return functional.elu(x, attributes.number("alpha", 1.0))


@operator("Celu")
def celu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the continuously differentiable exponential linear unit."""
    return functional.celu(x, attributes.number("alpha", 1.0))


@operator("Selu")
def selu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the scaled exponential linear unit."""
    alpha = attributes.number("alpha", 1.6732632423543772)
    return attributes.number("gamma", 1.0507009873554805) * functional.elu(x, alpha)


@operator("Sigmoid")
def sigmoid(_: Attributes, x: Tensor) -> Tensor:
    """Return the logistic function."""
    return torch.sigmoid(x)


@operator("HardSigmoid")
def hard_sigmoid(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``alpha * x + beta``, clipped to 0..1."""
    return torch.clamp(attributes.number("alpha", 0.2) * x + attributes.number("beta", 0.5), 0, 1)


@operator("HardSwish")
def hard_swish(_: Attributes, x: Tensor) -> Tensor:
    """Return ``x`` times a clipped line."""
    return x * torch.clamp(x / 6 + 0.5, 0, 1)


@operator("Swish", since=24)
def swish(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``x`` times the logistic function of ``alpha * x``."""
    return x * torch.sigmoid(attributes.number("alpha", 1.0) * x)


@operator("Tanh")
def tanh(_: Attributes, x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return torch.tanh(x)


@operator("Softplus")
def softplus(_: Attributes, x: Tensor) -> Tensor:
    """Return ``log(1 + exp(x))``."""
    return functional.softplus(x)


@operator("Softsign")
def softsign(_: Attributes, x: Tensor) -> Tensor:
    """Return ``x / (1 + |x|)``."""
    return functional.softsign(x)


@operator("Mish")
def mish(_: Attributes, x: Tensor) -> Tensor:
    """Return ``x * tanh(softplus(x))``."""
    return functional.mish(x)


@operator("Gelu", since=20)
def gelu(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the Gaussian error linear unit, exact or by tanh."""
    return functional.gelu(x, approximate=attributes.text("approximate", "none"))


@operator("Softmax", since=13)
def softmax(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the softmax along one axis."""
    return torch.softmax(x, attributes.integer("axis", -1))


@operator("LogSoftmax", since=13)
def log_softmax(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the logarithm of the softmax along one axis."""
    return torch.log_softmax(x, attributes.integer("axis", -1))


@operator("Softmax")
def flat_softmax(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the softmax over all axes from ``axis`` on (before opset 13)."""
    return torch.softmax(_flat(x, attributes.integer("axis", 1)), 1).reshape(x.shape)


@operator("LogSoftmax")
def flat_log_softmax(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the logarithm of the softmax over all axes from ``axis`` on (before opset 13)."""
    return torch.log_softmax(_flat(x, attributes.integer("axis", 1)), 1).reshape(x.shape)


@operator("Shrink")
def shrink(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``x`` moved towards 0 by ``bias`` beyond ``lambd`` on either side, else 0."""
    bound, bias = attributes.number("lambd", 0.5), attributes.number("bias", 0.0)
    outside = torch.where(x < -bound, x + bias, torch.zeros_like(x))
    return torch.where(x > bound, x - bias, outside)


@operator("Hardmax", since=13)
def hardmax(attributes: Attributes, x: Tensor) -> Tensor:
    """Return 1 at the first largest value along one axis, else 0; no gradient flows through it."""
    axis = attributes.integer("axis", -1)
    best = x.argmax(dim=axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, best, 1).detach()


@operator("Hardmax")
def flat_hardmax(attributes: Attributes, x: Tensor) -> Tensor:
    """Return 1 at the largest of all values from ``axis`` on, else 0 (before opset 13)."""
    flat = _flat(x, attributes.integer("axis", 1))
    best = flat.argmax(dim=1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, best, 1).reshape(x.shape).detach()


def _flat(x: Tensor, axis: int) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)
