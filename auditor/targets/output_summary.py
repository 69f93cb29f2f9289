"""Summary of a model's outputs: its kind and class names, before its task is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.tasks import Floats
from auditor.targets.outputs import (
    SLACK,
    ModelOutput,
    adds_up_to_one,
    to_class_name,
    to_output_table,
)

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


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTable:
    """The answers to rows: ``[n, k]`` scores or numbers, and labels if the model gives some."""

    scores: Floats | None
    labels: tuple[str, ...] = ()


def read_answer_table(answers: Sequence[ModelOutput], rows: int) -> AnswerTable:
    """Return the one table of scores among a model's outputs, and the one column of labels.

    Each is left out where there is none, or where several could be it.
    """
    maps = [it for it in answers if it.keys is not None]
    tables = [it for it in answers if it.array.dtype.kind == "f" and _is_table(it, rows)]
    labels = [it for it in answers if it.array.dtype.kind in NAMED and _is_column(it, rows)]
    whole = [it for it in answers if it.array.dtype.kind in "iu" and _is_table(it, rows)]
    wide = [it for it in whole if all(it is not label for label in labels)]
    chosen = maps or tables or wide
    if len(chosen) > 1:
        chosen = [it for it in chosen if _adds_up(to_output_table(it.array).astype(np.float64))]
    scores = to_output_table(chosen[0].array).astype(np.float64) if len(chosen) == 1 else None
    told = labels[0].array.reshape(-1).tolist() if len(labels) == 1 else []
    return AnswerTable(scores, tuple(to_class_name(item) for item in told))


def _is_table(answer: ModelOutput, rows: int) -> bool:
    shape = answer.array.shape
    return bool(shape) and shape[0] == rows and sum(size != 1 for size in shape[1:]) <= 1


def _is_column(answer: ModelOutput, rows: int) -> bool:
    return bool(answer.array.shape) and answer.array.size == rows == len(answer.array)


def _adds_up(table: Floats) -> bool:
    inside = bool(((table >= 0.0) & (table <= 1.0 + SLACK)).all())
    single = table.shape[1] == 1
    return inside and (single or adds_up_to_one(table))


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
