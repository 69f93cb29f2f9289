"""Output interface of a model: finds the score output and converts it to class scores.

The output and its kind are inferred from answers of the model. Scores are ``[rows, classes]`` in
the order of the task's classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.targets import LOGITS
from auditor.domain.tasks import ClassificationTask, Floats, ScoreKind, Task
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.protocol import Anything

SLACK = 1e-2
"""How far outside 0..1, or from a sum of 1, probabilities in half precision may lie."""
PROBABILITIES = frozenset({"probabilities", "binary_probability", "zipmap"})
Key = str | int


def to_scores(
    output: Anything, keys: Sequence[Key] | None, kind: str, task: Task, first_row: int = 0
) -> Floats:
    """Return ``[n, classes]`` scores (``[n, 1]`` for a regression) from one output.

    ``kind`` is ``ModelInterface.scores``; ``keys`` names the columns of a ZipMap; ``first_row`` is
    the number of the first row, for messages. Raises ``ModelFailedError`` for NaN or infinities,
    and for probabilities outside 0..1.
    """
    if not (isinstance(task, ClassificationTask) and kind == "labels"):
        table = to_output_table(output).astype(np.float64)
        check_finite(table, first_row)
        if isinstance(task, ClassificationTask) and kind in PROBABILITIES:
            _check_range(table, first_row)
    return to_unchecked_scores(output, keys, kind, task, first_row)


def to_unchecked_scores(
    output: Anything, keys: Sequence[Key] | None, kind: str, task: Task, first_row: int = 0
) -> Floats:
    """Return what ``to_scores`` does, and keep scores that are no numbers or no probabilities.

    Raises ``ModelFailedError`` for a label that is no class.
    """
    if isinstance(task, ClassificationTask) and kind == "labels":
        return _one_hot(to_label_indices(output, task, first_row), len(task.classes))
    table: Floats = to_output_table(output).astype(np.float64)
    if not isinstance(task, ClassificationTask):
        return table
    if keys is not None:
        table = table[:, find_column_order(keys, task)]
    return _two_columns(table, kind, task) if kind.startswith("binary_") else table


def to_probabilities(scores: Floats, kind: str) -> Floats:
    """Return the probabilities that scores stand for: softmax of logits, others cut to 0..1."""
    if kind not in LOGITS:
        return np.clip(scores, 0.0, 1.0) if kind in PROBABILITIES else scores
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    softmax: Floats = raised / raised.sum(axis=1, keepdims=True)
    return softmax


def to_output_table(output: Anything) -> Anything:
    """Return an output as ``[rows, columns]``: axes of size 1 behind the first are dropped."""
    long = [size for size in output.shape[1:] if size != 1]
    if len(long) > 1 or output.ndim == 0:
        raise ModelFailedError(
            f"the model's scores have the shape {output.shape}, not [rows, classes]",
            cure="Export the model with one score a class and row; others are not audited yet.",
        )
    return output.reshape(len(output), long[0] if long else 1)


def find_column_order(keys: Sequence[Key], task: ClassificationTask) -> NDArray[np.int64]:
    """Return, class by class, the column of a ZipMap that holds it. Raises ``ArtifactError``."""
    names = [to_class_name(key) for key in keys]
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


def to_label_indices(
    output: Anything, task: ClassificationTask, first_row: int = 0
) -> NDArray[np.int64]:
    """Return the class index of each label: by its text, or as a number from 0.

    Whole numbers count classes from 0 only where the classes are not numbers themselves. Raises
    ``ModelFailedError`` for a label that is no class.
    """
    places = {name: index for index, name in enumerate(task.classes)}
    if not all(name.lstrip("-").isdigit() for name in task.classes):
        places = {str(index): index for index in range(len(task.classes))} | places
    names = [to_class_name(label) for label in output.reshape(-1).tolist()]
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


def to_class_name(label: object) -> str:
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


def _two_columns(table: Floats, kind: str, task: ClassificationTask) -> Floats:
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


LABELS = frozenset("iubS")
DISAGREEMENT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ModelOutput:
    """One output as it came: its array, and the class keys of its columns if it is a ZipMap."""

    name: str
    array: Anything
    keys: Sequence[Key] | None = None


@dataclass(frozen=True, slots=True)
class ScoreOutput:
    """Which output holds the scores, what they are, and what decided it."""

    output: str
    scores: str
    because: str


def find_score_output(answers: Sequence[ModelOutput], task: Task) -> ScoreOutput:
    """Decide which output holds the scores and what they are.

    Raises ``ModelFailedError`` where that is ambiguous, ``ArtifactError`` where the number of
    classes is not the task's.
    """
    if not isinstance(task, ClassificationTask):
        return _regression(answers)
    scored = _scored(answers, task)
    if scored is None:
        return _labels(answers, task)
    table = to_output_table(scored.array).astype(np.float64)
    if scored.keys is None and table.shape[1] > 1:
        _check_order(answers, table, task)
    return _kind(scored, table, task)


def _scored(answers: Sequence[ModelOutput], task: ClassificationTask) -> ModelOutput | None:
    """Return the one output with a score for each class, ``None`` where there are only labels."""
    maps = [answer for answer in answers if answer.keys is not None]
    floats = maps or [answer for answer in answers if answer.array.dtype.kind == "f"]
    if not floats:
        floats = [answer for answer in answers if _is_integer_scores(answer, task)]
    if not floats:
        return None
    fitting = [answer for answer in floats if _columns(answer) in _widths(task)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        seen = ", ".join(f"{answer.name!r} {answer.array.shape}" for answer in floats)
        raise ArtifactError(
            f"the task has {len(task.classes)} classes, but no output has so many scores a row: "
            f"{'; '.join(filter(None, (seen, task.origin)))}",
            cure="Name the model's classes in `task.classes`, in the order of its scores.",
        )
    names = ", ".join(answer.name for answer in fitting)
    raise ModelFailedError(
        f"each of the outputs {names} could be the scores",
        cure="Export the model with one output of scores (onnx.utils.extract_model).",
    )


def _widths(task: ClassificationTask) -> frozenset[int]:
    return frozenset({len(task.classes), 1} if task.binary else {len(task.classes)})


def _columns(answer: ModelOutput) -> int:
    long = [size for size in answer.array.shape[1:] if size != 1]
    return (long[0] if long else 1) if len(long) < 2 and answer.array.ndim else 0  # noqa: PLR2004 -- a table has one such axis


def _is_integer_scores(answer: ModelOutput, task: ClassificationTask) -> bool:
    return answer.array.dtype.kind in "iu" and _columns(answer) == len(task.classes)


def _kind(scored: ModelOutput, table: Floats, task: ClassificationTask) -> ScoreOutput:
    check_finite(table, 0)
    if scored.keys is not None:
        find_column_order(scored.keys, task)  # refuses other classes than the task's
    single = task.binary and table.shape[1] == 1
    kind, because = _logits_or_probabilities(table, task.output, single=single)
    if single:
        return ScoreOutput(scored.name, "binary_" + kind, because)
    if scored.keys is not None:
        because = f"a ZipMap of the classes' names; {because}"
        return ScoreOutput(scored.name, "zipmap" if kind == "probability" else "logits", because)
    return ScoreOutput(scored.name, "probabilities" if kind == "probability" else "logits", because)


def _logits_or_probabilities(table: Floats, asked: ScoreKind, *, single: bool) -> tuple[str, str]:
    rows = len(table)
    inside = bool(((table >= 0.0) & (table <= 1.0 + SLACK)).all())
    adding_up = single or bool((np.abs(table.sum(axis=1) - 1.0) <= SLACK).all())
    seen = f"all {rows} rows looked at lie in 0..1" + ("" if single else " and add up to 1")
    if asked is ScoreKind.LOGITS:
        return "logit", "the audit file says so"
    if asked is ScoreKind.PROBABILITIES:
        if not (inside and adding_up):
            raise ArtifactError(
                "`task.output` says probabilities, but the scores do not lie in 0..1 and add up "
                f"to 1 in all of {rows} rows looked at",
                cure="Set `task.output: logits`, or export the model with its softmax.",
            )
        return "probability", f"the audit file says so, and {seen}"
    if inside and adding_up:
        return "probability", seen
    if inside:
        raise ModelFailedError(
            f"the scores of {rows} rows lie in 0..1 and do not add up to 1: they may be logits, "
            "or probabilities of labels that do not exclude each other",
            cure="Set `task.output: logits` if the largest score names the class; models with "
            "several labels a row are not audited yet.",
        )
    return "logit", f"scores between {table.min():.4g} and {table.max():.4g} are no probabilities"


def _check_order(answers: Sequence[ModelOutput], table: Floats, task: ClassificationTask) -> None:
    """Refuse scores whose columns are not in the task's order, where the model gives labels too.

    Some models (Platt-scaled ones) label a few rows against their largest score, so that only a
    disagreement on most rows counts.
    """
    for answer in answers:
        if answer.array.dtype.kind != "S" or _columns(answer) != 1:
            continue
        differing = to_label_indices(answer.array, task) != np.argmax(table, axis=1)
        if np.mean(differing) > DISAGREEMENT:
            row = int(np.argmax(differing))
            label = answer.array.reshape(-1)[row].decode("utf-8", errors="replace")
            raise ArtifactError(
                f"the model labels row {row} {label[:64]!r}, but its largest score stands where "
                f"`task.classes` has {task.classes[int(np.argmax(table[row]))]!r}",
                cure="List `task.classes` in the order of the model's scores.",
            )


def _labels(answers: Sequence[ModelOutput], task: ClassificationTask) -> ScoreOutput:
    found = [a for a in answers if a.array.dtype.kind in LABELS and _columns(a) == 1]
    if len(found) != 1:
        names = ", ".join(f"{a.name!r} {a.array.shape}" for a in answers) or "none"
        raise ModelFailedError(
            f"no output holds scores or labels of {len(task.classes)} classes; there are: {names}",
            cure="Export the model with its scores [rows, classes] as an output.",
        )
    return ScoreOutput(found[0].name, "labels", "the model gives a label a row and no scores")


def _regression(answers: Sequence[ModelOutput]) -> ScoreOutput:
    found = [a for a in answers if a.array.dtype.kind in "fiu" and _columns(a) == 1]
    if len(found) == 1:
        return ScoreOutput(found[0].name, "values", "the only output with one number a row")
    names = ", ".join(f"{a.name!r} {a.array.shape}" for a in answers) or "none"
    raise ModelFailedError(
        f"a regression needs one output with one number a row; there are: {names}",
        cure="Export the model with that output alone.",
    )
