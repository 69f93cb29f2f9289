"""Control flow, run eagerly: the branch that is taken, and as many iterations as there are."""

from typing import Any

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import Value, operator

MOST_ITERATIONS = 100_000
"""A loop that runs longer is refused: its condition does not end it."""


@operator("If")
def choose(attributes: Attributes, condition: Tensor) -> tuple[Value, ...]:
    """Return what one branch makes; the condition decides once for the whole batch."""
    return attributes.body("then_branch" if bool(condition) else "else_branch")()


@operator("Loop")
def loop(
    attributes: Attributes,
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


@operator("Scan", since=9)
def scan(attributes: Attributes, *inputs: Tensor) -> tuple[Tensor, ...]:
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
    return (*state, *_stacks(attributes, rows))


def _stacks(attributes: Attributes, rows: list[tuple[Tensor, ...]]) -> list[Tensor]:
    columns = list(zip(*rows, strict=True))
    axes = attributes.integers("scan_output_axes", [0] * len(columns))
    backwards = attributes.integers("scan_output_directions", [0] * len(columns))
    return [
        torch.stack(column[::-1] if back else column, axis)
        for column, axis, back in zip(columns, axes, backwards, strict=True)
    ]


@operator("Scan")
def scan_of_batches(
    attributes: Attributes, lengths: Tensor | None = None, *inputs: Tensor
) -> tuple[Tensor, ...]:
    """Scan each row of a batch by itself (opset 8): the first axis is the batch."""
    if lengths is not None:
        message = "a scan of rows that are not all of one length"
        raise ValueError(message)
    rows = [scan(attributes, *row) for row in zip(*(x.unbind(0) for x in inputs), strict=True)]
    return tuple(torch.stack(column) for column in zip(*rows, strict=True))
