"""What turns windows back into a plane: transposed convolution and the folding of columns."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator

_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


@operator("ConvTranspose")
def conv_transpose(
    attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
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
    attributes: Attributes, x: Tensor, full: list[int], extra: list[int]
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


@operator("Col2Im")
def col2im(attributes: Attributes, x: Tensor, image: Tensor, block: Tensor) -> Tensor:
    """Add columns of blocks up to an image, of any number of axes."""
    lengths, sides = listed(image), listed(block)
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
