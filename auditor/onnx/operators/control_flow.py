"""ONNX control flow, sequences and optional values; random operators are refused.

Control flow runs eagerly. A sequence is a list, and an absent optional value is ``None``. The twin
refuses random operators, because the model has no single answer for a row.
"""

from typing import Any

import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import Value, register_operator
from auditor.onnx.operators.shape_operators import to_integers

Sequence = list[Tensor]


@register_operator("SequenceConstruct")
def sequence_construct(_: NodeAttributes, *inputs: Tensor) -> Sequence:
    """Return a sequence of several tensors."""
    return list(inputs)


@register_operator("SequenceEmpty")
def sequence_empty(_: NodeAttributes) -> Sequence:
    """Return a sequence without tensors."""
    return []


@register_operator("SequenceLength")
def sequence_length(_: NodeAttributes, items: Sequence) -> Tensor:
    """Return how many tensors a sequence holds."""
    return torch.tensor(len(items), dtype=torch.int64)


@register_operator("SequenceAt")
def sequence_at(_: NodeAttributes, items: Sequence, position: Tensor) -> Tensor:
    """Return the tensor at a place; negative ones count from the end."""
    return items[int(position)]


@register_operator("SequenceInsert")
def sequence_insert(
    _: NodeAttributes, items: Sequence, item: Tensor, position: Tensor | None = None
) -> Sequence:
    """Return the sequence with one more tensor, at the end or before a place."""
    place = len(items) if position is None else int(position)
    place = place + len(items) if place < 0 else place
    return [*items[:place], item, *items[place:]]


@register_operator("SequenceErase")
def sequence_erase(_: NodeAttributes, items: Sequence, position: Tensor | None = None) -> Sequence:
    """Return the sequence without its last tensor, or without the one at a place."""
    place = (-1 if position is None else int(position)) % len(items)
    return [*items[:place], *items[place + 1 :]]


@register_operator("ConcatFromSequence")
def concat_from_sequence(attributes: NodeAttributes, items: Sequence) -> Tensor:
    """Join the tensors along an axis, a new one where asked."""
    axis = attributes.integer("axis")
    return torch.stack(items, axis) if attributes.integer("new_axis") else torch.cat(items, axis)


@register_operator("SplitToSequence")
def split_to_sequence(
    attributes: NodeAttributes, x: Tensor, lengths: Tensor | None = None
) -> Sequence:
    """Split along one axis, into parts of one length or of several, or into single entries."""
    axis = attributes.integer("axis")
    if lengths is None:
        singles = torch.split(x, 1, axis)
        keep = attributes.integer("keepdims", 1)
        return list(singles) if keep else [part.squeeze(axis) for part in singles]
    parts = to_integers(lengths)
    return list(torch.split(x, parts if lengths.dim() else parts[0], axis))


@register_operator("Optional")
def optional(_: NodeAttributes, value: Value = None) -> Value:
    """Return an optional that holds a value, or nothing."""
    return value


@register_operator("OptionalHasElement")
def optional_has_element(_: NodeAttributes, value: Value = None) -> Tensor:
    """Return whether an optional holds something."""
    return torch.tensor(value is not None)


@register_operator("OptionalGetElement")
def optional_get_element(_: NodeAttributes, value: Value = None) -> Value:
    """Return what an optional holds."""
    if value is None:
        message = "an optional that holds nothing"
        raise ValueError(message)
    return value


MOST_ITERATIONS = 100_000
"""A loop that runs longer is refused: its condition does not end it."""


@register_operator("If")
def if_branch(attributes: NodeAttributes, condition: Tensor) -> tuple[Value, ...]:
    """Return what one branch makes; the condition decides once for the whole batch."""
    return attributes.body("then_branch" if bool(condition) else "else_branch")()


@register_operator("Loop")
def loop(
    attributes: NodeAttributes,
    most: Tensor | None = None,
    condition: Tensor | None = None,
    *carried: Value,
) -> tuple[Value, ...]:
    """Iterate while the condition holds, at most ``most`` times; returns state, then stacks."""
    state, going = carried, condition is None or bool(condition)
    limit = MOST_ITERATIONS if most is None else int(most)
    rows: list[tuple[Any, ...]] = []
    while going and len(rows) < limit:
        if len(rows) == MOST_ITERATIONS:
            message = f"a loop of more than {MOST_ITERATIONS} iterations"
            raise ValueError(message)
        turn = torch.tensor(len(rows), dtype=torch.int64)
        go_on, *made = attributes.body("body")(turn, torch.tensor(going), *state)
        state, row = tuple(made[: len(carried)]), tuple(made[len(carried) :])
        rows.append(row)
        going = bool(go_on)
    if not rows and attributes.outputs > len(carried):
        message = "a loop without an iteration, whose outputs have no shape"
        raise ValueError(message)
    return (*state, *(torch.stack(column) for column in zip(*rows, strict=True)))


@register_operator("Scan", since=9)
def scan(attributes: NodeAttributes, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Iterate over slices of the scanned inputs; returns the last state, then the stacks."""
    scanned = attributes.integer("num_scan_inputs")
    held = len(inputs) - scanned
    axes = attributes.integers("scan_input_axes", [0] * scanned)
    backwards = attributes.integers("scan_input_directions", [0] * scanned)
    slices = [
        x.flip(axis).unbind(axis) if back else x.unbind(axis)
        for x, axis, back in zip(inputs[held:], axes, backwards, strict=True)
    ]
    state, rows = inputs[:held], list[tuple[Tensor, ...]]()
    for entry in zip(*slices, strict=True):
        made = attributes.body("body")(*state, *entry)
        state, row = made[:held], made[held:]
        rows.append(row)
    columns = list(zip(*rows, strict=True))
    stacks_axes = attributes.integers("scan_output_axes", [0] * len(columns))
    stacks_backwards = attributes.integers("scan_output_directions", [0] * len(columns))
    return (
        *state,
        *[
            torch.stack(column[::-1] if back else column, axis)
            for column, axis, back in zip(columns, stacks_axes, stacks_backwards, strict=True)
        ],
    )


@register_operator("Scan")
def scan_of_batches(
    attributes: NodeAttributes, lengths: Tensor | None = None, *inputs: Tensor
) -> tuple[Tensor, ...]:
    """Scan each row of a batch by itself (opset 8): the first axis is the batch."""
    if lengths is not None:
        message = "a scan of rows that are not all of one length"
        raise ValueError(message)
    rows = [scan(attributes, *row) for row in zip(*(x.unbind(0) for x in inputs), strict=True)]
    return tuple(torch.stack(column) for column in zip(*rows, strict=True))


NAMES = (
    "Bernoulli", "Multinomial",
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
)  # fmt: skip


def _claim(name: str) -> None:
    @register_operator(name)
    def refuse(_: NodeAttributes, *__: Tensor) -> Tensor:
        message = "the model draws at random when it runs, so that its scores are not a function"
        raise ValueError(message)


for _name in NAMES:
    _claim(_name)
