"""Operators that slide a window: convolution and pooling, in one to three dimensions."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator

_CONVOLUTION: dict[int, Callable[..., Tensor]] = {
    1: functional.conv1d,
    2: functional.conv2d,
    3: functional.conv3d,
}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAXIMUM: dict[int, Callable[..., Tensor]] = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}


@operator("Conv")
def conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the cross-correlation with ``weight``."""
    kernel = list(weight.shape[2:])
    before, after = paddings(attributes, x, kernel)
    uneven = before != after
    padded = functional.pad(x, _widths(before, after)) if uneven else x
    return _CONVOLUTION[len(kernel)](
        padded,
        weight,
        bias,
        stride=attributes.integers("strides", [1] * len(kernel)),
        padding=[0] * len(kernel) if uneven else before,
        dilation=attributes.integers("dilations", [1] * len(kernel)),
        groups=attributes.integer("group", 1),
    )


@operator("ConvTranspose")
def conv_transpose(
    attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Return the gradient of a convolution, for explicit and even padding."""
    rank = weight.dim() - 2
    pads = attributes.integers("pads", [0] * (2 * rank))
    automatic = attributes.text("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}
    if automatic or attributes.has("output_shape") or pads[:rank] != pads[rank:]:
        message = "a transposed convolution with automatic or uneven padding"
        raise ValueError(message)
    return _TRANSPOSED[rank](
        x,
        weight,
        bias,
        stride=attributes.integers("strides", [1] * rank),
        padding=pads[:rank],
        output_padding=attributes.integers("output_padding", [0] * rank),
        groups=attributes.integer("group", 1),
        dilation=attributes.integers("dilations", [1] * rank),
    )


@operator("MaxPool")
def max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the largest value in each window."""
    kernel = attributes.integers("kernel_shape")
    before, after = paddings(attributes, x, kernel)
    before, after = _cover(attributes, x, kernel, before, after)
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    padded = functional.pad(x, _widths(before, after), value=lowest)
    return _MAXIMUM[len(kernel)](
        padded,
        kernel,
        stride=attributes.integers("strides", [1] * len(kernel)),
        dilation=attributes.integers("dilations", [1] * len(kernel)),
    )


@operator("AveragePool")
def average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the mean of each window, padding counted where ``count_include_pad``."""
    kernel = attributes.integers("kernel_shape")
    before, after = paddings(attributes, x, kernel)
    first, last = _cover(attributes, x, kernel, before, after)
    counted = torch.ones((1, 1, *x.shape[2:]))
    if attributes.integer("count_include_pad"):
        # What rounding up adds beyond the declared padding is never counted.
        inside = [min(pair) for pair in zip(after, last, strict=True)]
        counted = functional.pad(counted, _widths(first, inside), value=1.0)
        beyond = [wide - near for wide, near in zip(last, inside, strict=True)]
        counted = functional.pad(counted, _widths([0] * len(kernel), beyond))
    else:
        counted = functional.pad(counted, _widths(first, last))
    totals = _window_sums(attributes, functional.pad(x, _widths(first, last)), kernel)
    return totals / _window_sums(attributes, counted, kernel)


def _window_sums(attributes: Attributes, x: Tensor, kernel: list[int]) -> Tensor:
    rank = len(kernel)
    flat = x.reshape(-1, 1, *x.shape[2:])
    sums = _CONVOLUTION[rank](
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
    reach = _reach(attributes, kernel)
    needed = [
        max((-(-length // stride) - 1) * stride + span - length, 0)
        for length, stride, span in zip(x.shape[2:], strides, reach, strict=True)
    ]
    small, large = [width // 2 for width in needed], [width - width // 2 for width in needed]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def _reach(attributes: Attributes, kernel: list[int]) -> list[int]:
    dilations = attributes.integers("dilations", [1] * len(kernel))
    return [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]


def _cover(
    attributes: Attributes, x: Tensor, kernel: list[int], before: list[int], after: list[int]
) -> tuple[list[int], list[int]]:
    """Widen the padding so that rounding up (``ceil_mode``) gives the last window its elements.

    A window that would start beyond the input and its first padding is left out, as in ONNX.
    """
    if not attributes.integer("ceil_mode"):
        return before, after
    strides = attributes.integers("strides", [1] * len(kernel))
    widened = []
    for axis, span in enumerate(_reach(attributes, kernel)):
        length, first, stride = x.shape[2 + axis], before[axis], strides[axis]
        windows = -(-(length + first + after[axis] - span) // stride) + 1
        if (windows - 1) * stride >= length + first:
            windows -= 1
        widened.append(max((windows - 1) * stride + span - length - first, 0))
    return before, widened


def _widths(before: list[int], after: list[int]) -> list[int]:
    pairs = zip(reversed(before), reversed(after), strict=True)
    return [width for pair in pairs for width in pair]
