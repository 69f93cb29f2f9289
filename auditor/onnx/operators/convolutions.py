"""Operators that slide a window: convolution and pooling, in one to three dimensions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator

CONVOLUTION: dict[int, Callable[..., Tensor]] = {
    1: functional.conv1d,
    2: functional.conv2d,
    3: functional.conv3d,
}
MAXIMUM: dict[int, Callable[..., Any]] = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}
MEAN: dict[int, Callable[..., Tensor]] = {
    1: functional.avg_pool1d,
    2: functional.avg_pool2d,
    3: functional.avg_pool3d,
}


@operator("Conv")
def conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the cross-correlation with ``weight``."""
    kernel = list(weight.shape[2:])
    before, after = paddings(attributes, x, kernel)
    uneven = before != after
    padded = functional.pad(x, widths(before, after)) if uneven else x
    return CONVOLUTION[len(kernel)](
        padded,
        weight,
        bias,
        stride=attributes.integers("strides", [1] * len(kernel)),
        padding=[0] * len(kernel) if uneven else before,
        dilation=attributes.integers("dilations", [1] * len(kernel)),
        groups=attributes.integer("group", 1),
    )


@operator("MaxPool")
def max_pool_with_places(attributes: Attributes, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
    """Return the largest value in each window and, where asked, its place in the whole tensor."""
    if attributes.outputs == 1:
        return max_pool(attributes, x)
    kernel = attributes.integers("kernel_shape")
    padded, before = _padded_by_lowest(attributes, x, kernel)
    best, flat = _slide(attributes, padded, kernel, return_indices=True)
    column_major = bool(attributes.integer("storage_order"))
    lengths, wide = list(x.shape[2:]), list(padded.shape[2:])
    place, stride = torch.zeros_like(flat), 1
    order = range(len(kernel)) if column_major else range(len(kernel) - 1, -1, -1)
    parts = torch.unravel_index(flat, wide)
    for axis in order:
        place = place + (parts[axis] - before[axis]) * stride
        stride *= lengths[axis]
    rows = torch.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * len(kernel))
    return best, place + rows * stride


def max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the largest value in each window."""
    kernel = attributes.integers("kernel_shape")
    padded, _ = _padded_by_lowest(attributes, x, kernel)
    found: Tensor = _slide(attributes, padded, kernel, return_indices=False)
    return found


def _padded_by_lowest(
    attributes: Attributes, x: Tensor, kernel: list[int]
) -> tuple[Tensor, list[int]]:
    before, after = paddings(attributes, x, kernel)
    before, after = cover(attributes, x, kernel, before, after)
    if not any(before) and not any(after):
        return x, before
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    return functional.pad(x, widths(before, after), value=lowest), before


def _slide(attributes: Attributes, x: Tensor, kernel: list[int], *, return_indices: bool) -> Any:  # noqa: ANN401 -- one tensor or two
    return MAXIMUM[len(kernel)](
        x,
        kernel,
        stride=attributes.integers("strides", [1] * len(kernel)),
        dilation=attributes.integers("dilations", [1] * len(kernel)),
        return_indices=return_indices,
    )


@operator("AveragePool")
def average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the mean of each window, padding counted where ``count_include_pad``."""
    kernel = attributes.integers("kernel_shape")
    before, after = paddings(attributes, x, kernel)
    first, last = cover(attributes, x, kernel, before, after)
    if not any((*first, *last)) and set(attributes.integers("dilations", [1])) == {1}:
        return MEAN[len(kernel)](x, kernel, attributes.integers("strides", [1] * len(kernel)))
    counted = torch.ones((1, 1, *x.shape[2:]))
    if attributes.integer("count_include_pad"):
        # What rounding up adds beyond the declared padding is never counted.
        inside = [min(pair) for pair in zip(after, last, strict=True)]
        counted = functional.pad(counted, widths(first, inside), value=1.0)
        beyond = [wide - near for wide, near in zip(last, inside, strict=True)]
        counted = functional.pad(counted, widths([0] * len(kernel), beyond))
    else:
        counted = functional.pad(counted, widths(first, last))
    totals = window_sums(attributes, functional.pad(x, widths(first, last)), kernel)
    return totals / window_sums(attributes, counted, kernel)


def window_sums(attributes: Attributes, x: Tensor, kernel: list[int]) -> Tensor:
    """Return the sum of each window, channel by channel."""
    rank = len(kernel)
    flat = x.reshape(-1, 1, *x.shape[2:])
    sums = CONVOLUTION[rank](
        flat,
        torch.ones((1, 1, *kernel)),
        stride=attributes.integers("strides", [1] * rank),
        dilation=attributes.integers("dilations", [1] * rank),
    )
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


@operator("GlobalAveragePool")
def global_average_pool(_: Attributes, x: Tensor) -> Tensor:
    """Return the mean over all spatial axes."""
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(_: Attributes, x: Tensor) -> Tensor:
    """Return the maximum over all spatial axes."""
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def paddings(attributes: Attributes, x: Tensor, kernel: list[int]) -> tuple[list[int], list[int]]:
    """Return how much is padded before and after each spatial axis."""
    rank = len(kernel)
    mode = attributes.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * rank, [0] * rank
    if mode == "NOTSET":
        pads = attributes.integers("pads", [0] * (2 * rank))
        return pads[:rank], pads[rank:]
    strides = attributes.integers("strides", [1] * rank)
    spans = reach(attributes, kernel)
    needed = [
        max((-(-length // stride) - 1) * stride + span - length, 0)
        for length, stride, span in zip(x.shape[2:], strides, spans, strict=True)
    ]
    small, large = [width // 2 for width in needed], [width - width // 2 for width in needed]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def reach(attributes: Attributes, kernel: list[int]) -> list[int]:
    """Return how many elements a window spans along each axis."""
    dilations = attributes.integers("dilations", [1] * len(kernel))
    return [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]


def cover(
    attributes: Attributes, x: Tensor, kernel: list[int], before: list[int], after: list[int]
) -> tuple[list[int], list[int]]:
    """Widen the padding so that rounding up (``ceil_mode``) gives the last window its elements.

    A window that would start beyond the input and its first padding is left out, as in ONNX.
    """
    if not attributes.integer("ceil_mode"):
        return before, after
    strides = attributes.integers("strides", [1] * len(kernel))
    widened = []
    for axis, span in enumerate(reach(attributes, kernel)):
        length, first, stride = x.shape[2 + axis], before[axis], strides[axis]
        windows = -(-(length + first + after[axis] - span) // stride) + 1
        if (windows - 1) * stride >= length + first:
            windows -= 1
        widened.append(max((windows - 1) * stride + span - length - first, 0))
    return before, widened


def widths(before: list[int], after: list[int]) -> list[int]:
    """Return paddings in the order of torch: the last axis first."""
    pairs = zip(reversed(before), reversed(after), strict=True)
    return [width for pair in pairs for width in pair]
