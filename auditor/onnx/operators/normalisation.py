"""ONNX normalisation layers in inference mode, including the fused ones of ONNX Runtime."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.quantised import MICROSOFT


@register_operator("BatchNormalization")
def batch_normalization(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
) -> Tensor:
    """Normalise each channel by the statistics of training."""
    if attributes.integer("training_mode"):
        message = "a batch normalisation that still trains"
        raise ValueError(message)
    epsilon = attributes.number("epsilon", 1e-5)
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


@register_operator("InstanceNormalization")
def instance_normalization(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Normalise each channel of each row by its own statistics."""
    axes = tuple(range(2, x.dim()))
    normal = _standardise(x, axes, attributes.number("epsilon", 1e-5))
    return normal * _by_channel(scale, x) + _by_channel(bias, x)


@register_operator("LayerNormalization")
def layer_normalization(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise over all axes from ``axis`` on; returns the means and deviations' inverses too."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    mean = x.mean(dim=axes, keepdim=True)
    variance = (x - mean).square().mean(dim=axes, keepdim=True)
    inverse = torch.rsqrt(variance + attributes.number("epsilon", 1e-5))
    normal = (x - mean) * inverse * scale
    return (normal if bias is None else normal + bias), mean, inverse


@register_operator("GroupNormalization", since=18)
def group_normalization_by_group(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Normalise groups of channels, each scaled and moved as a whole (before opset 21)."""
    groups = attributes.integer("num_groups")
    grouped = x.reshape(x.shape[0], groups, -1)
    normal = _standardise(grouped, (2,), attributes.number("epsilon", 1e-5))
    moved = normal * scale.reshape(1, groups, 1) + bias.reshape(1, groups, 1)
    return moved.reshape(x.shape)


@register_operator("GroupNormalization", since=21)
def group_normalization(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """Normalise groups of channels by their own statistics."""
    grouped = x.reshape(x.shape[0], attributes.integer("num_groups"), -1)
    normal = _standardise(grouped, (2,), attributes.number("epsilon", 1e-5)).reshape(x.shape)
    return normal * _by_channel(scale, x) + _by_channel(bias, x)


@register_operator("RMSNormalization", since=23)
def rms_normalization(attributes: NodeAttributes, x: Tensor, scale: Tensor) -> Tensor:
    """Divide by the root mean square over all axes from ``axis`` on."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    square = x.square().mean(dim=axes, keepdim=True)
    return x * torch.rsqrt(square + attributes.number("epsilon", 1e-5)) * scale


@register_operator("LRN")
def local_response(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Divide by the energy of neighbouring channels."""
    size = attributes.integer("size")
    before = (size - 1) // 2
    squares = functional.pad(x.square().transpose(1, -1), (before, size - 1 - before))
    energy = squares.unfold(-1, size, 1).sum(-1).transpose(1, -1)
    scale = attributes.number("bias", 1.0) + attributes.number("alpha", 1e-4) / size * energy
    return x / scale.pow(attributes.number("beta", 0.75))


@register_operator("LpNormalization")
def lp_normalization(attributes: NodeAttributes, x: Tensor) -> Tensor:
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


EPSILON = 1e-5
SMALLER_EPSILON = 1e-12


@register_operator("LayerNormalization", domain=MICROSOFT)
def contrib_layer_normalization(
    attributes: NodeAttributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise over all axes from ``axis`` on; also return the mean and 1 over the deviation."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    return _standard(x, scale, bias, axes, attributes.number("epsilon", EPSILON))


@register_operator("SimplifiedLayerNormalization")
@register_operator("SimplifiedLayerNormalization", domain=MICROSOFT)
def simplified_layer_normalization(
    attributes: NodeAttributes, x: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Divide by the root mean square over all axes from ``axis`` on; also return 1 over it."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    return _by_square(x, scale, axes, attributes.number("epsilon", EPSILON))


@register_operator("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    skip: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalise ``x + skip + bias`` along the last axis; also return mean, scale and that sum."""
    total = x + skip if bias is None else x + skip + bias
    epsilon = attributes.number("epsilon", SMALLER_EPSILON)
    return (*_standard(total, scale, shift, (-1,), epsilon), total)


@register_operator("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_simplified_layer_normalization(
    attributes: NodeAttributes, x: Tensor, skip: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Divide ``x + skip + bias`` by its root mean square; return it in fourth place."""
    total = x + skip if bias is None else x + skip + bias
    epsilon = attributes.number("epsilon", SMALLER_EPSILON)
    normal, inverse = _by_square(total, scale, (-1,), epsilon)
    return normal, torch.zeros_like(inverse), inverse, total


def _standard(
    x: Tensor, scale: Tensor, shift: Tensor | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    mean = x.mean(dim=axes, keepdim=True)
    inverse = torch.rsqrt((x - mean).square().mean(dim=axes, keepdim=True) + epsilon)
    normal = (x - mean) * inverse * scale
    return normal if shift is None else normal + shift, mean, inverse


def _by_square(
    x: Tensor, scale: Tensor, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, Tensor]:
    inverse = torch.rsqrt(x.square().mean(dim=axes, keepdim=True) + epsilon)
    return x * inverse * scale, inverse
