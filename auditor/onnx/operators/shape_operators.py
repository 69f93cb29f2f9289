"""ONNX shape operators: reshaping, slicing, joining, tiling and padding."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator


def to_integers(values: Tensor) -> list[int]:
    """Return a tensor of integers as a list."""
    return [int(value) for value in values.reshape(-1).tolist()]


@register_operator("Flatten")
def flatten(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return a matrix: the axes before ``axis`` by those after."""
    axis = attributes.integer("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    rows = 1
    for length in x.shape[:axis]:
        rows *= length
    return x.reshape(rows, x.numel() // rows if rows else 0)


@register_operator("Reshape")
def reshape(attributes: NodeAttributes, x: Tensor, shape: Tensor) -> Tensor:
    """Change the shape; 0 keeps an axis unless ``allowzero``, -1 takes what is left."""
    lengths = to_integers(shape)
    if not attributes.integer("allowzero"):
        lengths = [x.shape[axis] if length == 0 else length for axis, length in enumerate(lengths)]
    return x.reshape(lengths)


@register_operator("Transpose")
def transpose(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Permute the axes; without ``perm`` reverse them."""
    return x.permute(attributes.integers("perm", range(x.dim() - 1, -1, -1)))


@register_operator("Squeeze")
def squeeze_by_attribute(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Remove axes of length 1 (before opset 13)."""
    if not attributes.has("axes"):
        return torch.squeeze(x)
    return torch.squeeze(x, tuple(attributes.integers("axes")))


@register_operator("Squeeze", since=13)
def squeeze(_: NodeAttributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Remove the axes of length 1 that are named, or all."""
    return torch.squeeze(x) if axes is None else torch.squeeze(x, tuple(to_integers(axes)))


@register_operator("Unsqueeze")
def unsqueeze_by_attribute(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Insert axes of length 1 (before opset 13)."""
    return _unsqueeze(x, attributes.integers("axes"))


@register_operator("Unsqueeze", since=13)
def unsqueeze(_: NodeAttributes, x: Tensor, axes: Tensor) -> Tensor:
    """Insert axes of length 1 at places of the result."""
    return _unsqueeze(x, to_integers(axes))


def _unsqueeze(x: Tensor, axes: list[int]) -> Tensor:
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = torch.unsqueeze(x, axis)
    return x


@register_operator("Concat")
def concat(attributes: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Join several values along one axis."""
    return torch.cat(inputs, attributes.integer("axis", 1))


@register_operator("Split")
def split_by_attribute(attributes: NodeAttributes, x: Tensor) -> tuple[Tensor, ...]:
    """Split along one axis, by lengths that are an attribute (before opset 13)."""
    lengths = attributes.integers("split") or _equal(attributes, x)
    return torch.split(x, lengths, attributes.integer("axis"))


@register_operator("Split", since=13)
def split(
    attributes: NodeAttributes, x: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Split along one axis, by lengths or into equal parts, the last one shorter."""
    parts = _equal(attributes, x) if lengths is None else to_integers(lengths)
    return torch.split(x, parts, attributes.integer("axis"))


def _equal(attributes: NodeAttributes, x: Tensor) -> list[int]:
    length, parts = (
        x.shape[attributes.integer("axis")],
        attributes.integer("num_outputs", attributes.outputs),
    )
    share = -(-length // parts)
    return [share] * (parts - 1) + [length - share * (parts - 1)]


@register_operator("Slice")
def slice_by_attributes(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Cut ranges out, given as attributes (before opset 10)."""
    starts, ends = attributes.integers("starts"), attributes.integers("ends")
    axes = attributes.integers("axes", range(len(starts)))
    return _cut(x, starts, ends, axes, [1] * len(starts))


@register_operator("Slice", since=10)
def slice_ranges(
    _: NodeAttributes,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Cut ranges out with steps, negative ones backwards."""
    first = to_integers(starts)
    along = list(range(len(first))) if axes is None else to_integers(axes)
    strides = [1] * len(first) if steps is None else to_integers(steps)
    return _cut(x, first, to_integers(ends), along, strides)


def _cut(
    x: Tensor, starts: list[int], ends: list[int], axes: list[int], steps: list[int]
) -> Tensor:
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = x.shape[axis]
        # Backwards, ONNX clips a start before the first element to that element; Python does not.
        first = max(start, -length) if step < 0 else start
        taken = range(length)[slice(first, None if step < 0 and end < -length else end, step)]
        x = torch.index_select(x, axis, torch.tensor(list(taken), dtype=torch.int64))
    return x


@register_operator("Shape")
def shape_of(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return the lengths of the axes, or of those between ``start`` and ``end``."""
    lengths = list(x.shape)[attributes.integer("start") : attributes.integer("end", x.dim())]
    return torch.tensor(lengths, dtype=torch.int64)


@register_operator("Size")
def size_of(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return how many elements there are."""
    return torch.tensor(x.numel(), dtype=torch.int64)


@register_operator("Expand")
def expand(_: NodeAttributes, x: Tensor, shape: Tensor) -> Tensor:
    """Broadcast to a shape, in both directions."""
    lengths = to_integers(shape)
    padded = [1] * (x.dim() - len(lengths)) + lengths
    own = [1] * (len(padded) - x.dim()) + list(x.shape)
    return x.expand([a if b == 1 else b for a, b in zip(own, padded, strict=True)])


@register_operator("Tile")
def tile(_: NodeAttributes, x: Tensor, repeats: Tensor) -> Tensor:
    """Repeat along each axis."""
    return x.repeat(to_integers(repeats))


@register_operator("ConstantOfShape")
def constant_of_shape(attributes: NodeAttributes, shape: Tensor) -> Tensor:
    """Return one value in a shape; 0 where none is given."""
    value = attributes.tensor("value")
    filler = torch.zeros(1) if value is None else torch.from_numpy(value.reshape(1).copy())
    filler = filler.to(torch.float32) if filler.is_floating_point() else filler
    return filler.expand(to_integers(shape)).clone()


@register_operator("Range")
def number_range(_: NodeAttributes, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Return equally spaced numbers."""
    numbers = torch.arange(start.item(), limit.item(), delta.item())
    return numbers.to(start.dtype)


@register_operator("DepthToSpace")
def depth_to_space(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Move blocks of channels into the plane; ``mode`` says which come first."""
    side = attributes.integer("blocksize")
    rows, channels, height, width = x.shape
    left = channels // side**2
    if attributes.text("mode", "DCR") == "DCR":
        blocks = x.reshape(rows, side, side, left, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(rows, left, side, side, height, width).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(rows, left, height * side, width * side)


@register_operator("SpaceToDepth")
def space_to_depth(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Move blocks of the plane into channels; ``mode`` says which come first."""
    side = attributes.integer("blocksize")
    rows, channels, height, width = x.shape
    blocks = x.reshape(rows, channels, height // side, side, width // side, side)
    order = (0, 3, 5, 1, 2, 4) if attributes.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    made = blocks.permute(order)
    return made.reshape(rows, channels * side**2, height // side, width // side)


@register_operator("Pad")
def pad_by_attributes(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Pad by lengths that are attributes (before opset 11)."""
    return _pad(
        x,
        attributes.integers("pads"),
        range(x.dim()),
        attributes.text("mode", "constant"),
        attributes.number("value"),
    )


@register_operator("Pad", since=11)
def pad(
    attributes: NodeAttributes,
    x: Tensor,
    pads: Tensor,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    """Pad by a constant, by the edge, by reflection or by wrapping around."""
    along = range(x.dim()) if axes is None else to_integers(axes)
    filler = 0.0 if value is None else float(value.item())
    return _pad(x, to_integers(pads), along, attributes.text("mode", "constant"), filler)


def _pad(x: Tensor, pads: list[int], axes: range | list[int], mode: str, value: float) -> Tensor:
    for position, axis in enumerate(axes):
        before, after = pads[position], pads[position + len(axes)]
        if before == 0 and after == 0:
            continue
        if mode == "constant":
            widths = [0, 0] * (x.dim() - 1 - axis % x.dim()) + [before, after]
            x = functional.pad(x, widths, value=value)
        else:
            length = x.shape[axis]
            places = torch.arange(-before, length + after)
            if mode == "edge":
                places = places.clamp(0, length - 1)
            elif mode == "wrap":
                places = places % length
            else:
                period = max(2 * length - 2, 1)
                folded = places % period
                places = torch.where(folded < length, folded, period - folded)
            x = torch.index_select(x, axis, places)
    return x
