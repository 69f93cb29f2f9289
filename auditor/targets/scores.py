"""What comes out of a model, as scores ``[rows, classes]`` in the order of the task's classes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.domain.targets import LOGITS
from auditor.domain.tasks import Classification, Floats, Task
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.frames import Anything

SLACK = 1e-2
"""How far outside 0..1, or from a sum of 1, probabilities in half precision may lie."""
PROBABILITIES = frozenset({"probabilities", "binary_probability", "zipmap"})
Key = str | int


def to_scores(
    output: Anything, keys: Sequence[Key] | None, kind: str, task: Task, first_row: int = 0
) -> Floats:
    """Return ``[n, classes]`` scores (``[n, 1]`` for a regression) from one output.

    ``kind`` is ``Interface.scores``; ``keys`` names the columns of a ZipMap; ``first_row`` is the
    number of the first row, for messages. Raises ``ModelFailedError`` for NaN or infinities, and
    for probabilities outside 0..1.
    """
    if not (isinstance(task, Classification) and kind == "labels"):
        table = as_table(output).astype(np.float64)
        check_finite(table, first_row)
        if isinstance(task, Classification) and kind in PROBABILITIES:
            _check_range(table, first_row)
    return unchecked_scores(output, keys, kind, task, first_row)


def unchecked_scores(
    output: Anything, keys: Sequence[Key] | None, kind: str, task: Task, first_row: int = 0
) -> Floats:
    """Return what ``to_scores`` does, and keep scores that are no numbers or no probabilities.

    Raises ``ModelFailedError`` for a label that is no class.
    """
    if isinstance(task, Classification) and kind == "labels":
        return _one_hot(label_indices(output, task, first_row), len(task.classes))
    table: Floats = as_table(output).astype(np.float64)
    if not isinstance(task, Classification):
        return table
    if keys is not None:
        table = table[:, column_order(keys, task)]
    return _two_columns(table, kind, task) if kind.startswith("binary_") else table


def to_probabilities(scores: Floats, kind: str) -> Floats:
    """Return the probabilities that scores stand for: softmax of logits, others cut to 0..1."""
    if kind not in LOGITS:
        return np.clip(scores, 0.0, 1.0) if kind in PROBABILITIES else scores
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    softmax: Floats = raised / raised.sum(axis=1, keepdims=True)
    return softmax


def as_table(output: Anything) -> Anything:
    """Return an output as ``[rows, columns]``: axes of size 1 behind the first are dropped."""
    long = [size for size in output.shape[1:] if size != 1]
    if len(long) > 1 or output.ndim == 0:
        raise ModelFailedError(
            f"the model's scores have the shape {output.shape}, not [rows, classes]",
            cure="Export the model with one score a class and row; others are not audited yet.",
        )
    return output.reshape(len(output), long[0] if long else 1)


def column_order(keys: Sequence[Key], task: Classification) -> NDArray[np.int64]:
    """Return, class by class, the column of a ZipMap that holds it. Raises ``ArtifactError``."""
    names = [class_name(key) for key in keys]
    if sorted(names) == sorted(task.classes):
        return np.array([names.index(name) for name in task.classes], dtype=np.int64)
    if sorted(names) == sorted(str(index) for index in range(len(task.classes))):
        wanted = range(len(task.classes))
        return np.array([names.index(str(index)) for index in wanted], dtype=np.int64)
    raise ArtifactError(
        f"the model scores the classes {_listed(names)}, "
        f"but the task has the classes {_listed(task.classes)}",
        cure="Name the model's classes in `task.classes`.",
    )


def label_indices(output: Anything, task: Classification, first_row: int = 0) -> NDArray[np.int64]:
    """Return the class index of each label: by its text, or as a number from 0.

    Whole numbers count classes from 0 only where the classes are not numbers themselves. Raises
    ``ModelFailedError`` for a label that is no class.
    """
    places = {name: index for index, name in enumerate(task.classes)}
    if not all(name.lstrip("-").isdigit() for name in task.classes):
        places = {str(index): index for index in range(len(task.classes))} | places
    names = [class_name(label) for label in output.reshape(-1).tolist()]
    for row, name in enumerate(names):
        if name not in places:
            raise ModelFailedError(
                f"the model gives row {first_row + row} the label {name[:64]!r}, "
                f"which is none of the classes {_listed(task.classes)}",
                cure="Name the model's classes in `task.classes`.",
            )
    return np.array([places[name] for name in names], dtype=np.int64)


def check_finite(table: Floats, first_row: int) -> None:
    """Raise ``ModelFailedError`` that names the first row with NaN or an infinity."""
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        value = table[row][~np.isfinite(table[row])][0]
        raise ModelFailedError(
            f"the model scores row {first_row + row} with {value}, which is no number",
            cure="Look at that row's input, and for a division by zero or an overflow in the "
            "model.",
        )


def class_name(label: object) -> str:
    """Return a class of a model by the name that a task may give it."""
    if isinstance(label, bytes):
        return label.decode("utf-8", errors="replace")
    if isinstance(label, bool | float) and float(label).is_integer():
        return str(int(label))
    return str(label)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name[:32] for name in names[:10]) + (", …" if len(names) > 10 else "")  # noqa: PLR2004 -- what a line holds


def _one_hot(indices: NDArray[np.int64], classes: int) -> Floats:
    table = np.zeros((len(indices), classes))
    table[np.arange(len(indices)), indices] = 1.0
    return table


def _two_columns(table: Floats, kind: str, task: Classification) -> Floats:
    """Give a binary model's one column (that of the positive class) its counterpart."""
    both = np.empty((len(table), 2))
    both[:, task.positive_index] = table[:, 0]
    both[:, 1 - task.positive_index] = 1.0 - table[:, 0] if kind == "binary_probability" else 0.0
    return both


def _check_range(table: Floats, first_row: int) -> None:
    bad = ((table < -SLACK) | (table > 1.0 + SLACK)).any(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ModelFailedError(
            f"the model's scores were taken for probabilities, "
            f"but row {first_row + row} scores {table[row].min():g} to {table[row].max():g}",
            cure="Set `task.output: logits`.",
        )
