"""Sequences of tensors, which are lists here, and optional values, which are there or ``None``."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import Value, operator

Sequence = list[Tensor]


@operator("SequenceConstruct")
def sequence_construct(_: Attributes, *inputs: Tensor) -> Sequence:
    """Return a sequence of several tensors."""
    return list(inputs)


@operator("SequenceEmpty")
def sequence_empty(_: Attributes) -> Sequence:
    """Return a sequence without tensors."""
    return []


@operator("SequenceLength")
def sequence_length(_: Attributes, items: Sequence) -> Tensor:
    """Return how many tensors a sequence holds."""
    return torch.tensor(len(items), dtype=torch.int64)


@operator("SequenceAt")
def sequence_at(_: Attributes, items: Sequence, position: Tensor) -> Tensor:
    """Return the tensor at a place; negative ones count from the end."""
    return items[int(position)]


@operator("SequenceInsert")
def sequence_insert(
    _: Attributes, items: Sequence, item: Tensor, position: Tensor | None = None
) -> Sequence:
    """Return the sequence with one more tensor, at the end or before a place."""
    place = len(items) if position is None else int(position)
    place = place + len(items) if place < 0 else place
    return [*items[:place], item, *items[place:]]


@operator("SequenceErase")
def sequence_erase(_: Attributes, items: Sequence, position: Tensor | None = None) -> Sequence:
    """Return the sequence without its last tensor, or without the one at a place."""
    place = (-1 if position is None else int(position)) % len(items)
    return [*items[:place], *items[place + 1 :]]


@operator("ConcatFromSequence")
def concat_from_sequence(attributes: Attributes, items: Sequence) -> Tensor:
    """Join the tensors along an axis, a new one where asked."""
    axis = attributes.integer("axis")
    return torch.stack(items, axis) if attributes.integer("new_axis") else torch.cat(items, axis)


@operator("SplitToSequence")
def split_to_sequence(attributes: Attributes, x: Tensor, lengths: Tensor | None = None) -> Sequence:
    """Split along one axis, into parts of one length or of several, or into single entries."""
    axis = attributes.integer("axis")
    if lengths is None:
        singles = torch.split(x, 1, axis)
        keep = attributes.integer("keepdims", 1)
        return list(singles) if keep else [part.squeeze(axis) for part in singles]
    parts = listed(lengths)
    return list(torch.split(x, parts if lengths.dim() else parts[0], axis))


@operator("Optional")
def optional(_: Attributes, value: Value = None) -> Value:
    """Return an optional that holds a value, or nothing."""
    return value


@operator("OptionalHasElement")
def optional_has_element(_: Attributes, value: Value = None) -> Tensor:
    """Return whether an optional holds something."""
    return torch.tensor(value is not None)


@operator("OptionalGetElement")
def optional_get_element(_: Attributes, value: Value = None) -> Value:
    """Return what an optional holds."""
    if value is None:
        message = "an optional that holds nothing"
        raise ValueError(message)
    return value
