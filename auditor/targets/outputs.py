"""Output interface of a model: finds the score output and converts it to class scores.

The output and its kind are inferred from answers of the model. Scores are ``[rows, classes]`` in
the order of the task's classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import ModelTiming
from auditor.domain.targets import LOGITS
from auditor.domain.tasks import ClassificationTask, Floats, ScoreKind, Task
from auditor.errors import ArtifactError, ModelCrashedError, ModelFailedError
from auditor.targets.protocol import Anything, MessageFrame

SLACK = 1e-2
"""How far outside 0..1, or from a sum of 1, probabilities in half precision may lie."""
MOST_SLACK = 5e-2
"""How far from a sum of 1 scores that are rounded to a step may lie in all."""
COARSEST_STEP = 1 / 100
"""The step of scores that 8 bits hold is about a 256th; one that is coarser is no rounding."""
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
            bad = ((table < -SLACK) | (table > 1.0 + SLACK)).any(axis=1)
            if bad.any():
                row = int(np.argmax(bad))
                raise ModelFailedError(
                    f"the model's scores were taken for probabilities, "
                    f"but row {first_row + row} scores {table[row].min():g} to "
                    f"{table[row].max():g}",
                    cure="Set `task.output: logits`.",
                )
    return to_unchecked_scores(output, keys, kind, task, first_row)


def to_unchecked_scores(
    output: Anything, keys: Sequence[Key] | None, kind: str, task: Task, first_row: int = 0
) -> Floats:
    """Return what ``to_scores`` does, and keep scores that are no numbers or no probabilities.

    Raises ``ModelFailedError`` for a label that is no class.
    """
    if isinstance(task, ClassificationTask) and kind == "labels":
        indices = to_label_indices(output, task, first_row)
        one_hot = np.zeros((len(indices), len(task.classes)))
        one_hot[np.arange(len(indices)), indices] = 1.0
        return one_hot
    table: Floats = to_output_table(output).astype(np.float64)
    if not isinstance(task, ClassificationTask):
        return table
    if keys is not None:
        table = table[:, find_column_order(keys, task)]
    if kind.startswith("binary_"):
        both = np.empty((len(table), 2))
        both[:, task.positive_index] = table[:, 0]
        both[:, 1 - task.positive_index] = (
            1.0 - table[:, 0] if kind == "binary_probability" else 0.0
        )
        return both
    return table


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
                cure="Write the labels of the data as the model gives them, or name the model's "
                "classes in `task.classes`.",
            )
    return np.array([places[name] for name in names], dtype=np.int64)


def check_finite(table: Floats, first_row: int) -> None:
    """Raise ``ModelFailedError`` that names the first row with NaN or an infinity."""
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        value = table[row][~np.isfinite(table[row])][0]
        raise ModelFailedError(
            f"the model scores row {first_row + row} with {value}, which is not a number",
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
        found = [a for a in answers if a.array.dtype.kind in "fiu" and _columns(a) == 1]
        if len(found) == 1:
            return ScoreOutput(found[0].name, "values", "the only output with one number a row")
        names = ", ".join(f"{a.name!r} {a.array.shape}" for a in answers) or "none"
        raise ModelFailedError(
            f"a regression needs one output with one number a row; there are: {names}",
            cure="Export the model with that output alone.",
        )
    scored = _scored(answers, task)
    if scored is None:
        found = [a for a in answers if a.array.dtype.kind in LABELS and _columns(a) == 1]
        if len(found) != 1:
            names = ", ".join(f"{a.name!r} {a.array.shape}" for a in answers) or "none"
            raise ModelFailedError(
                f"no output holds scores or labels of {len(task.classes)} classes; there are: "
                f"{names}",
                cure="Export the model with its scores [rows, classes] as an output.",
            )
        return ScoreOutput(found[0].name, "labels", "the model gives a label a row and no scores")
    table = to_output_table(scored.array).astype(np.float64)
    if scored.keys is None and table.shape[1] > 1:
        _check_order(answers, table, task)
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


def _scored(answers: Sequence[ModelOutput], task: ClassificationTask) -> ModelOutput | None:
    """Return the one output with a score for each class, ``None`` where there are only labels."""
    maps = [answer for answer in answers if answer.keys is not None]
    floats = maps or [answer for answer in answers if answer.array.dtype.kind == "f"]
    if not floats:
        floats = [
            answer
            for answer in answers
            if answer.array.dtype.kind in "iu" and _columns(answer) == len(task.classes)
        ]
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


def adds_up_to_one(table: Floats) -> bool:
    """Whether each row of scores adds up to 1, but for what half precision or 8 bits round off.

    Scores of a quantised model are multiples of one step, each off by half of it at most.
    """
    step = _find_step(table)
    slack = max(SLACK, table.shape[1] * step / 2)
    return bool((np.abs(table.sum(axis=1) - 1.0) <= min(slack, MOST_SLACK)).all())


def _find_step(table: Floats) -> float:
    """Return the step of which all scores are multiples, 0 where there is none."""
    levels = np.unique(table)
    if len(levels) < 3:  # noqa: PLR2004 -- two levels have a step whatever they are
        return 0.0
    step = float(np.diff(levels).min())
    off = np.abs(table / step - np.round(table / step)) if step > SLACK / 100 else None
    return step if off is not None and off.max() < SLACK and step <= COARSEST_STEP else 0.0


def _logits_or_probabilities(table: Floats, asked: ScoreKind, *, single: bool) -> tuple[str, str]:
    rows = len(table)
    inside = bool(((table >= 0.0) & (table <= 1.0 + SLACK)).all())
    adding_up = single or adds_up_to_one(table)
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
    return "logit", f"scores between {table.min():.4g} and {table.max():.4g} are not probabilities"


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


def read_output(reply: MessageFrame, name: str) -> tuple[Anything, tuple[Key, ...] | None]:
    """Return one output of an ``infer`` reply, with its class keys where it is a ZipMap."""
    array = reply.arrays.get(name)
    if array is None:
        raise unexpected_answer_error(f"the output {name!r} is missing")
    keys = reply.header.get("keys", {}).get(name)
    if keys is None:
        return array, None
    if not isinstance(keys, list) or array.ndim != 2 or len(keys) != array.shape[1]:  # noqa: PLR2004 -- rows and columns
        raise unexpected_answer_error(
            f"the classes of the output {name!r} are not those of its columns"
        )
    return array, tuple(key if isinstance(key, int) else str(key) for key in keys)


def read_timing(reply: MessageFrame, batch_rows: int) -> ModelTiming:
    """Return the times of a `time` reply. Raises ``ModelCrashedError`` for what is none."""
    said = reply.header
    try:
        return ModelTiming(
            load=float(said["load"]),
            first=float(said["first"]),
            warmup=int(said["warmup"]),
            single=_series(reply, "single"),
            batch=_series(reply, "batch"),
            batch_rows=batch_rows,
            conditions={str(name): float(seen) for name, seen in said["conditions"].items()},
            transport=_series(reply, "transport") if "transport" in reply.arrays else None,
            processor=_series(reply, "processor") if "processor" in reply.arrays else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unexpected_answer_error(f"its timings lack {error}") from error


def read_times(reply: MessageFrame, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """Read times in seconds, of a shape where one is given. Raises ``ModelCrashedError``."""
    found = reply.arrays.get(name)
    if found is None or found.dtype != np.float64 or (shape and found.shape != shape):
        raise unexpected_answer_error(f"the times {name!r} are missing")
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise unexpected_answer_error(f"the times {name!r} are not times")
    return found


def _series(reply: MessageFrame, name: str) -> Floats:
    found = reply.arrays.get(name)
    if found is not None and (found.ndim != 1 or not len(found)):
        raise unexpected_answer_error(f"the times {name!r} are missing")
    return read_times(reply, name)


def unexpected_answer_error(what: str) -> ModelCrashedError:
    """Return the error of an answer that cannot be used."""
    return ModelCrashedError(
        f"the target's answer cannot be used: {what}", cure="Update the auditor on that target."
    )
