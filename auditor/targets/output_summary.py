"""What kind of model answered, and how it names its classes, before its task is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.tasks import Floats
from auditor.targets.outputs import SLACK, ModelOutput, to_class_name, to_output_table

NAMED = frozenset("iuS")


@dataclass(frozen=True, slots=True, eq=False)
class OutputSummary:
    """What the answers to some rows could be.

    ``widths`` are those of outputs with numbers for each row, and ``probable`` those of outputs
    that look like probabilities; ``named`` are the classes in the order of their scores as far as
    the model names them (``None`` for a column that it names nowhere), and ``told`` all the names
    that it told. ``words`` describes every output.
    """

    widths: frozenset[int]
    probable: frozenset[int]
    named: tuple[str | None, ...]
    told: frozenset[str]
    words: str


def summarise_outputs(answers: Sequence[ModelOutput], rows: int) -> OutputSummary:
    """Look at every output of a model for ``rows`` rows."""
    tables = {
        answer.name: to_output_table(answer.array).astype(np.float64)
        for answer in answers
        if answer.array.dtype.kind == "f" and _is_table(answer, rows)
    }
    labels = [a for a in answers if a.array.dtype.kind in NAMED and _is_column(a, rows)]
    maps = [answer for answer in answers if answer.keys is not None]
    named: tuple[str | None, ...] = ()
    if maps:
        named = tuple(to_class_name(key) for key in maps[0].keys or ())
    elif labels and len(tables) == 1:
        named = _named(labels[0], next(iter(tables.values())))
    told = {to_class_name(item) for answer in labels for item in answer.array.reshape(-1).tolist()}
    return OutputSummary(
        frozenset(table.shape[1] for table in tables.values()),
        frozenset(table.shape[1] for table in tables.values() if _adds_up(table)),
        named,
        frozenset(told | {name for name in named if name is not None}),
        ", ".join(f"{a.name!r} {list(a.array.shape)}" for a in answers) or "nothing",
    )


def _is_table(answer: ModelOutput, rows: int) -> bool:
    shape = answer.array.shape
    return bool(shape) and shape[0] == rows and sum(size != 1 for size in shape[1:]) <= 1


def _is_column(answer: ModelOutput, rows: int) -> bool:
    return bool(answer.array.shape) and answer.array.size == rows == len(answer.array)


def _adds_up(table: Floats) -> bool:
    inside = bool(((table >= 0.0) & (table <= 1.0 + SLACK)).all())
    single = table.shape[1] == 1
    return inside and (single or bool((np.abs(table.sum(axis=1) - 1.0) <= SLACK).all()))


def _named(labels: ModelOutput, table: Floats) -> tuple[str | None, ...]:
    """Return, column by column, the label that most rows have whose largest score stands there."""
    if table.shape[1] == 1:
        return ()
    names = np.array([to_class_name(item) for item in labels.array.reshape(-1).tolist()])
    answered = table.argmax(axis=1)
    found: list[str | None] = []
    for column in range(table.shape[1]):
        seen, counts = np.unique(names[answered == column], return_counts=True)
        found.append(str(seen[counts.argmax()]) if len(seen) else None)
    known = [name for name in found if name is not None]
    return tuple(found) if len(set(known)) == len(known) else ()
