"""ONNX convolution and pooling operators, their transposes, and unpooling.

Convolution and pooling support one to three dimensions.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.shape_operators import to_integers

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


@register_operator("Conv")
def conv(
    attributes: NodeAttributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Return the cross-correlation with ``weight``."""
    kernel = list(weight.shape[2:])
    before, after = window_paddings(attributes, x, kernel)
    uneven = before != after
    padded = functional.pad(x, torch_paddings(before, after)) if uneven else x
    return CONVOLUTION[len(kernel)](
        padded,
        weight,
        bias,
        stride=attributes.integers("strides", [1] * len(kernel)),
        padding=[0] * len(kernel) if uneven else before,
        dilation=attributes.integers("dilations", [1] * len(kernel)),
        groups=attributes.integer("group", 1),
    )


@register_operator("MaxPool")
def max_pool_with_places(attributes: NodeAttributes, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
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


def max_pool(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the largest value in each window."""
    kernel = attributes.integers("kernel_shape")
    padded, _ = _padded_by_lowest(attributes, x, kernel)
    found: Tensor = _slide(attributes, padded, kernel, return_indices=False)
    return found


def _padded_by_lowest(
    attributes: NodeAttributes, x: Tensor, kernel: list[int]
) -> tuple[Tensor, list[int]]:
    before, after = window_paddings(attributes, x, kernel)
    before, after = extend_paddings(attributes, x, kernel, before, after)
    if not any(before) and not any(after):
        return x, before
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    return functional.pad(x, torch_paddings(before, after), value=lowest), before


def _slide(
    attributes: NodeAttributes, x: Tensor, kernel: list[int], *, return_indices: bool
) -> Any:  # noqa: ANN401 -- one tensor or two
    return MAXIMUM[len(kernel)](
        x,
        kernel,
        stride=attributes.integers("strides", [1] * len(kernel)),
        dilation=attributes.integers("dilations", [1] * len(kernel)),
        return_indices=return_indices,
    )


@register_operator("AveragePool")
def average_pool(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the mean of each window, padding counted where ``count_include_pad``."""
    kernel = attributes.integers("kernel_shape")
    before, after = window_paddings(attributes, x, kernel)
    first, last = extend_paddings(attributes, x, kernel, before, after)
    if not any((*first, *last)) and set(attributes.integers("dilations", [1])) == {1}:
        return MEAN[len(kernel)](x, kernel, attributes.integers("strides", [1] * len(kernel)))
    counted = torch.ones((1, 1, *x.shape[2:]))
    if attributes.integer("count_include_pad"):
        # What rounding up adds beyond the declared padding is never counted.
        inside = [min(pair) for pair in zip(after, last, strict=True)]
        counted = functional.pad(counted, torch_paddings(first, inside), value=1.0)
        beyond = [wide - near for wide, near in zip(last, inside, strict=True)]
        counted = functional.pad(counted, torch_paddings([0] * len(kernel), beyond))
    else:
        counted = functional.pad(counted, torch_paddings(first, last))
    totals = window_sums(attributes, functional.pad(x, torch_paddings(first, last)), kernel)
    return totals / window_sums(attributes, counted, kernel)


def window_sums(attributes: NodeAttributes, x: Tensor, kernel: list[int]) -> Tensor:
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


@register_operator("GlobalAveragePool")
def global_average_pool(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the mean over all spatial axes."""
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


@register_operator("GlobalMaxPool")
def global_max_pool(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the maximum over all spatial axes."""
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def window_paddings(
    attributes: NodeAttributes, x: Tensor, kernel: list[int]
) -> tuple[list[int], list[int]]:
    """Return how much is padded before and after each spatial axis."""
    rank = len(kernel)
    mode = attributes.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * rank, [0] * rank
    if mode == "NOTSET":
        pads = attributes.integers("pads", [0] * (2 * rank))
        return pads[:rank], pads[rank:]
    strides = attributes.integers("strides", [1] * rank)
    spans = window_spans(attributes, kernel)
    needed = [
        max((-(-length // stride) - 1) * stride + span - length, 0)
        for length, stride, span in zip(x.shape[2:], strides, spans, strict=True)
    ]
    small, large = [width // 2 for width in needed], [width - width // 2 for width in needed]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def window_spans(attributes: NodeAttributes, kernel: list[int]) -> list[int]:
    """Return how many elements a window spans along each axis."""
    dilations = attributes.integers("dilations", [1] * len(kernel))
    return [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]


def extend_paddings(
    attributes: NodeAttributes, x: Tensor, kernel: list[int], before: list[int], after: list[int]
) -> tuple[list[int], list[int]]:
    """Widen the padding so that rounding up (``ceil_mode``) gives the last window its elements.

    A window that would start beyond the input and its first padding is left out, as in ONNX.
    """
    if not attributes.integer("ceil_mode"):
        return before, after
    strides = attributes.integers("strides", [1] * len(kernel))
    widened = []
    for axis, span in enumerate(window_spans(attributes, kernel)):
        length, first, stride = x.shape[2 + axis], before[axis], strides[axis]
        windows = -(-(length + first + after[axis] - span) // stride) + 1
        if (windows - 1) * stride >= length + first:
            windows -= 1
        widened.append(max((windows - 1) * stride + span - length - first, 0))
    return before, widened


def torch_paddings(before: list[int], after: list[int]) -> list[int]:
    """Return paddings in the order of torch: the last axis first."""
    pairs = zip(reversed(before), reversed(after), strict=True)
    return [width for pair in pairs for width in pair]


_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


@register_operator("ConvTranspose")
def conv_transpose(
    attributes: NodeAttributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Return the gradient of a convolution, its edges cut by padding, explicit or automatic."""
    rank = weight.dim() - 2
    full = _TRANSPOSED[rank](
        x,
        weight,
        stride=attributes.integers("strides", [1] * rank),
        groups=attributes.integer("group", 1),
        dilation=attributes.integers("dilations", [1] * rank),
    )
    extra = attributes.integers("output_padding", [0] * rank)
    before, after = _cuts(attributes, x, list(full.shape[2:]), extra)
    widths = [
        width
        for first, last, more in zip(
            reversed(before), reversed(after), reversed(extra), strict=True
        )
        for width in (-first, more - last)
    ]
    cut = functional.pad(full, widths) if any(widths) else full
    return cut if bias is None else cut + bias.reshape(1, -1, *[1] * rank)


def _cuts(
    attributes: NodeAttributes, x: Tensor, full: list[int], extra: list[int]
) -> tuple[list[int], list[int]]:
    """Return how much is cut off before and after each axis of the full result."""
    rank = len(full)
    mode = attributes.text("auto_pad", "NOTSET")
    strides = attributes.integers("strides", [1] * rank)
    if attributes.has("output_shape"):
        wanted = attributes.integers("output_shape")[-rank:]
    elif mode in {"SAME_UPPER", "SAME_LOWER"}:
        wanted = [length * stride for length, stride in zip(x.shape[2:], strides, strict=True)]
    else:
        pads = attributes.integers("pads", [0] * (2 * rank)) if mode == "NOTSET" else [0] * 2 * rank
        return pads[:rank], pads[rank:]
    lengths = zip(full, extra, wanted, strict=True)
    total = [length + more - goal for length, more, goal in lengths]
    small, large = [cut // 2 for cut in total], [cut - cut // 2 for cut in total]
    return (small, large) if mode == "SAME_UPPER" else (large, small)


@register_operator("Col2Im")
def col2im(attributes: NodeAttributes, x: Tensor, image: Tensor, block: Tensor) -> Tensor:
    """Add columns of blocks up to an image, of any number of axes."""
    lengths, sides = to_integers(image), to_integers(block)
    rank = len(lengths)
    strides = attributes.integers("strides", [1] * rank)
    dilations = attributes.integers("dilations", [1] * rank)
    pads = attributes.integers("pads", [0] * (2 * rank))
    padded = [n + pads[axis] + pads[axis + rank] for axis, n in enumerate(lengths)]
    places = torch.zeros(1, 1, dtype=torch.int64)
    for axis in range(rank):
        windows = (padded[axis] - dilations[axis] * (sides[axis] - 1) - 1) // strides[axis] + 1
        inside = torch.arange(sides[axis]) * dilations[axis]
        starts = torch.arange(windows) * strides[axis]
        along = inside.reshape(-1, 1) + starts
        flat = places.reshape(places.shape[0], 1, places.shape[1], 1) * padded[axis]
        both = flat + along.reshape(1, along.shape[0], 1, along.shape[1])
        places = both.reshape(both.shape[0] * both.shape[1], -1)
    blocks = x.reshape(x.shape[0], -1, places.numel())
    size = int(torch.tensor(padded).prod())
    total = blocks.new_zeros((*blocks.shape[:2], size)).index_add(2, places.reshape(-1), blocks)
    whole = total.reshape(*blocks.shape[:2], *padded)
    for axis in range(rank):
        whole = whole.narrow(2 + axis, pads[axis], lengths[axis])
    return whole


@register_operator("LpPool", since=2)
def lp_pool(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the norm of each window."""
    kernel = attributes.integers("kernel_shape")
    before, after = window_paddings(attributes, x, kernel)
    before, after = extend_paddings(attributes, x, kernel, before, after)
    p = attributes.integer("p", 2)
    powers = functional.pad(x.abs().pow(p), torch_paddings(before, after))
    return _root(window_sums(attributes, powers, kernel), p)


@register_operator("GlobalLpPool", since=2)
def global_lp_pool(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the norm over all spatial axes."""
    p = attributes.integer("p", 2)
    return _root(x.abs().pow(p).sum(dim=tuple(range(2, x.dim())), keepdim=True), p)


def _root(powers: Tensor, p: int) -> Tensor:
    # A root has an infinite slope at 0, which would turn gradients of 0 into NaN.
    positive = powers > 0
    safe = torch.where(positive, powers, torch.ones_like(powers))
    return torch.where(positive, safe.pow(1 / p), torch.zeros_like(powers))


@register_operator("MaxUnpool")
def max_unpool(
    attributes: NodeAttributes, x: Tensor, places: Tensor, shape: Tensor | None = None
) -> Tensor:
    """Put values back to where a pooling found them, zeros elsewhere."""
    kernel = attributes.integers("kernel_shape")
    rank = len(kernel)
    strides = attributes.integers("strides", [1] * rank)
    pads = attributes.integers("pads", [0] * (2 * rank))
    lengths = list(x.shape[:2]) + [
        (length - 1) * stride - first - last + size
        for length, stride, first, last, size in list(
            zip(x.shape[2:], strides, pads[:rank], pads[rank:], kernel, strict=True)
        )
    ]
    # Places count in the inferred shape, also where a larger one is asked for.
    total = 1
    for length in lengths:
        total *= length
    flat = x.new_zeros(total).scatter(0, places.reshape(-1), x.reshape(-1))
    whole = flat.reshape(lengths)
    if shape is None:
        return whole
    beyond = [goal - length for goal, length in zip(to_integers(shape), lengths, strict=True)]
    return functional.pad(whole, [width for more in reversed(beyond) for width in (0, more)])
