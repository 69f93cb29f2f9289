"""Layer normalisations that ONNX Runtime makes of several nodes."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised import MICROSOFT
from auditor.twins.registry import operator

EPSILON = 1e-5
SMALLER_EPSILON = 1e-12


@operator("LayerNormalization", domain=MICROSOFT)
def layer_normalization(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise over all axes from ``axis`` on; also return the mean and 1 over the deviation."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    return _standard(x, scale, bias, axes, attributes.number("epsilon", EPSILON))


@operator("SimplifiedLayerNormalization")
@operator("SimplifiedLayerNormalization", domain=MICROSOFT)
def simplified_layer_normalization(
    attributes: Attributes, x: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Divide by the root mean square over all axes from ``axis`` on; also return 1 over it."""
    axes = tuple(range(attributes.integer("axis", -1) % x.dim(), x.dim()))
    return _by_square(x, scale, axes, attributes.number("epsilon", EPSILON))


@operator("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
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


@operator("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_simplified_layer_normalization(
    attributes: Attributes, x: Tensor, skip: Tensor, scale: Tensor, bias: Tensor | None = None
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
