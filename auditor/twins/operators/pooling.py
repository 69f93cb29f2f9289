"""Pooling by a norm, and what undoes a pooling by the maximum."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.operators.windows import cover, paddings, widths, window_sums
from auditor.twins.registry import operator


@operator("LpPool", since=2)
def lp_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the norm of each window."""
    kernel = attributes.integers("kernel_shape")
    before, after = paddings(attributes, x, kernel)
    before, after = cover(attributes, x, kernel, before, after)
    p = attributes.integer("p", 2)
    powers = functional.pad(x.abs().pow(p), widths(before, after))
    return _root(window_sums(attributes, powers, kernel), p)


@operator("GlobalLpPool", since=2)
def global_lp_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the norm over all spatial axes."""
    p = attributes.integer("p", 2)
    return _root(x.abs().pow(p).sum(dim=tuple(range(2, x.dim())), keepdim=True), p)


def _root(powers: Tensor, p: int) -> Tensor:
    # A root has an infinite slope at 0, which would turn gradients of 0 into NaN.
    positive = powers > 0
    safe = torch.where(positive, powers, torch.ones_like(powers))
    return torch.where(positive, safe.pow(1 / p), torch.zeros_like(powers))


@operator("MaxUnpool")
def max_unpool(
    attributes: Attributes, x: Tensor, places: Tensor, shape: Tensor | None = None
) -> Tensor:
    """Put values back to where a pooling found them, zeros elsewhere."""
    lengths = list(x.shape[:2]) + [
        (length - 1) * stride - first - last + size
        for length, stride, first, last, size in _geometry(attributes, x)
    ]
    # Places count in the inferred shape, also where a larger one is asked for.
    total = 1
    for length in lengths:
        total *= length
    flat = x.new_zeros(total).scatter(0, places.reshape(-1), x.reshape(-1))
    whole = flat.reshape(lengths)
    if shape is None:
        return whole
    beyond = [goal - length for goal, length in zip(listed(shape), lengths, strict=True)]
    return functional.pad(whole, [width for more in reversed(beyond) for width in (0, more)])


def _geometry(attributes: Attributes, x: Tensor) -> list[tuple[int, int, int, int, int]]:
    kernel = attributes.integers("kernel_shape")
    rank = len(kernel)
    strides = attributes.integers("strides", [1] * rank)
    pads = attributes.integers("pads", [0] * (2 * rank))
    return list(zip(x.shape[2:], strides, pads[:rank], pads[rank:], kernel, strict=True))
