"""Which output of a model holds its scores, and what they are, decided by looking at answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.tasks import Classification, Floats, Output, Task
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.frames import Anything
from auditor.targets.scores import SLACK, Key, as_table, check_finite, column_order, label_indices

LABELS = frozenset("iubS")
DISAGREEMENT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One output as it came: its array, and the class keys of its columns if it is a ZipMap."""

    name: str
    array: Anything
    keys: Sequence[Key] | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """Which output holds the scores, what they are, and what decided it."""

    output: str
    scores: str
    because: str


def find_exit(answers: Sequence[Answer], task: Task) -> Exit:
    """Decide which output holds the scores and what they are.

    Raises ``ModelFailedError`` where that is ambiguous, ``ArtifactError`` where the number of
    classes is not the task's.
    """
    if not isinstance(task, Classification):
        return _regression(answers)
    scored = _scored(answers, task)
    if scored is None:
        return _labels(answers, task)
    table = as_table(scored.array).astype(np.float64)
    if scored.keys is None and table.shape[1] > 1:
        _check_order(answers, table, task)
    return _kind(scored, table, task)


def _scored(answers: Sequence[Answer], task: Classification) -> Answer | None:
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


def _widths(task: Classification) -> frozenset[int]:
    return frozenset({len(task.classes), 1} if task.binary else {len(task.classes)})


def _columns(answer: Answer) -> int:
    long = [size for size in answer.array.shape[1:] if size != 1]
    return (long[0] if long else 1) if len(long) < 2 and answer.array.ndim else 0  # noqa: PLR2004 -- a table has one such axis


def _is_integer_scores(answer: Answer, task: Classification) -> bool:
    return answer.array.dtype.kind in "iu" and _columns(answer) == len(task.classes)


def _kind(scored: Answer, table: Floats, task: Classification) -> Exit:
    check_finite(table, 0)
    if scored.keys is not None:
        column_order(scored.keys, task)  # refuses other classes than the task's
    single = task.binary and table.shape[1] == 1
    kind, because = _logits_or_probabilities(table, task.output, single=single)
    if single:
        return Exit(scored.name, "binary_" + kind, because)
    if scored.keys is not None:
        because = f"a ZipMap of the classes' names; {because}"
        return Exit(scored.name, "zipmap" if kind == "probability" else "logits", because)
    return Exit(scored.name, "probabilities" if kind == "probability" else "logits", because)


def _logits_or_probabilities(table: Floats, asked: Output, *, single: bool) -> tuple[str, str]:
    rows = len(table)
    inside = bool(((table >= 0.0) & (table <= 1.0 + SLACK)).all())
    adding_up = single or bool((np.abs(table.sum(axis=1) - 1.0) <= SLACK).all())
    seen = f"all {rows} rows looked at lie in 0..1" + ("" if single else " and add up to 1")
    if asked is Output.LOGITS:
        return "logit", "the audit file says so"
    if asked is Output.PROBABILITIES:
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


def _check_order(answers: Sequence[Answer], table: Floats, task: Classification) -> None:
    """Refuse scores whose columns are not in the task's order, where the model gives labels too.

    Some models (Platt-scaled ones) label a few rows against their largest score, so that only a
    disagreement on most rows counts.
    """
    for answer in answers:
        if answer.array.dtype.kind != "S" or _columns(answer) != 1:
            continue
        differing = label_indices(answer.array, task) != np.argmax(table, axis=1)
        if np.mean(differing) > DISAGREEMENT:
            row = int(np.argmax(differing))
            label = answer.array.reshape(-1)[row].decode("utf-8", errors="replace")
            raise ArtifactError(
                f"the model labels row {row} {label[:64]!r}, but its largest score stands where "
                f"`task.classes` has {task.classes[int(np.argmax(table[row]))]!r}",
                cure="List `task.classes` in the order of the model's scores.",
            )


def _labels(answers: Sequence[Answer], task: Classification) -> Exit:
    found = [a for a in answers if a.array.dtype.kind in LABELS and _columns(a) == 1]
    if len(found) != 1:
        names = ", ".join(f"{a.name!r} {a.array.shape}" for a in answers) or "none"
        raise ModelFailedError(
            f"no output holds scores or labels of {len(task.classes)} classes; there are: {names}",
            cure="Export the model with its scores [rows, classes] as an output.",
        )
    return Exit(found[0].name, "labels", "the model gives a label a row and no scores")


def _regression(answers: Sequence[Answer]) -> Exit:
    found = [a for a in answers if a.array.dtype.kind in "fiu" and _columns(a) == 1]
    if len(found) == 1:
        return Exit(found[0].name, "values", "the only output with one number a row")
    names = ", ".join(f"{a.name!r} {a.array.shape}" for a in answers) or "none"
    raise ModelFailedError(
        f"a regression needs one output with one number a row; there are: {names}",
        cure="Export the model with that output alone.",
    )
