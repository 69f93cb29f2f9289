"""Normalisation layers, as they act once a model is trained."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator


@operator("BatchNormalization")
def batch_normalization(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """Normalise each channel by the statistics of training."""
    if attributes.integer("training_mode"):
        message = "a batch normalisation that still trains"
        raise ValueError(message)
    epsilon = attributes.number("epsilon", 1e-5)
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


@operator("InstanceNormalization")
def instance_normalization(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Normalise each channel of each row by its own statistics."""
    axes = tuple(range(2, x.dim()))
    normal = _standardise(x, axes, attributes.number("epsilon", 1e-5))
    return normal * _by_channel(scale, x) + _by_channel(bias, x)


@operator("LayerNormalization")
def layer_normalization(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise over all axes from ``axis`` on; returns the means and deviations' inverses too."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    mean = x.mean(dim=axes, keepdim=True)
    variance = (x - mean).square().mean(dim=axes, keepdim=True)
    inverse = torch.rsqrt(variance + attributes.number("epsilon", 1e-5))
    normal = (x - mean) * inverse * scale
    return (normal if bias is None else normal + bias), mean, inverse


@operator("GroupNormalization", since=18)
def group_normalization_by_group(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Normalise groups of channels, each scaled and moved as a whole (before opset 21)."""
    groups = attributes.integer("num_groups")
    grouped = x.reshape(x.shape[0], groups, -1)
    normal = _standardise(grouped, (2,), attributes.number("epsilon", 1e-5))
    moved = normal * scale.reshape(1, groups, 1) + bias.reshape(1, groups, 1)
    return moved.reshape(x.shape)


@operator("GroupNormalization", since=21)
def group_normalization(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalise groups of channels by their own statistics."""
    grouped = x.reshape(x.shape[0], attributes.integer("num_groups"), -1)
    normal = _standardise(grouped, (2,), attributes.number("epsilon", 1e-5)).reshape(x.shape)
    return normal * _by_channel(scale, x) + _by_channel(bias, x)


@operator("RMSNormalization", since=23)
def rms_normalization(attributes: Attributes, x: Tensor, scale: Tensor) -> Tensor:
    """Divide by the root mean square over all axes from ``axis`` on."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    square = x.square().mean(dim=axes, keepdim=True)
    return x * torch.rsqrt(square + attributes.number("epsilon", 1e-5)) * scale


@operator("LRN")
def local_response(attributes: Attributes, x: Tensor) -> Tensor:
    """Divide by the energy of neighbouring channels."""
    size = attributes.integer("size")
    before = (size - 1) // 2
    squares = functional.pad(x.square().transpose(1, -1), (before, size - 1 - before))
    energy = squares.unfold(-1, size, 1).sum(-1).transpose(1, -1)
    scale = attributes.number("bias", 1.0) + attributes.number("alpha", 1e-4) / size * energy
    return x / scale.pow(attributes.number("beta", 0.75))


@operator("LpNormalization")
def lp_normalization(attributes: Attributes, x: Tensor) -> Tensor:
    """Divide by the norm along one axis; a row of zeros stays as it is."""
    axis = attributes.integer("axis", -1)
    norm = torch.linalg.vector_norm(x, attributes.integer("p", 2), dim=axis, keepdim=True)
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


def _standardise(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    mean = x.mean(dim=axes, keepdim=True)
    variance = (x - mean).square().mean(dim=axes, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + epsilon)


def _by_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(1, -1, *[1] * (x.dim() - 2))
