"""Labels and scores of a dataset: its classes, and the class of each row."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from auditor.domain.auditfiles import TaskSection
from auditor.domain.datasets import UNLABELLED, DatasetRole
from auditor.domain.name_suggestions import suggest_near_names
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.errors import DatasetError
from auditor.inputs.datasets.column_conversion import (
    describe_other_rows,
    encode_column,
    normalize_label,
    to_numbers,
    to_texts,
)
from auditor.inputs.datasets.label_trials import assign_classes
from auditor.inputs.datasets.raw_dataset import RawDataset

MOST_UNDECLARED = 100
SUM_TOLERANCE = 1e-3
LEAST_DECIDED = 2
MOST_RENAMED = 5
MISSING = ""
"""Stands for what is missing: no text that is read from a file is empty."""


def list_classes(source: RawDataset) -> tuple[str, ...]:
    """Return the distinct labels of a source, numbers in the order of numbers.

    Raises ``DatasetError`` when there are so many that they look like something else.
    """
    written = to_texts(_label_column(source)).drop_nulls().unique()
    distinct = sorted({normalize_label(text) for text in written.to_list()}, key=_order)
    if not distinct:
        raise DatasetError(
            f"{source.name}: column {source.labels!r} holds no label at all",
            cure="Name the column that holds the labels, or fill it in.",
        )
    if len(distinct) > MOST_UNDECLARED:
        raise DatasetError(
            f"{source.name}: column {source.labels!r} holds {len(distinct)} different labels",
            cure="Name the column that holds the labels, or list them all in task.classes.",
        )
    return tuple(distinct)


def describe_class_origin(classes: tuple[str, ...], source: RawDataset) -> str:
    """Say that ``classes`` come from a source's labels, and which is the rarest: a slip may be."""
    written = to_texts(_label_column(source))
    tallied = written.drop_nulls().value_counts().rows()
    counts = dict.fromkeys(classes, 0)
    for text, count in tallied:
        counts[normalize_label(text)] += count
    rarest = min(counts, key=lambda name: counts[name])
    meaning = [text for text, _ in tallied if normalize_label(text) == rarest]
    first = source.row(written.is_in(meaning).fill_null(value=False).arg_max() or 0)
    return (
        f"the classes were taken from the labels in {source.name}: {', '.join(classes)}; the "
        f"rarest is {rarest!r} (rows: {counts[rarest]}, the first is {first})"
    )


def build_classification(
    section: TaskSection, classes: tuple[str, ...], place: str, hoped: str | None = None
) -> ClassificationTask:
    """Return the task of the audit file; ``place`` says where ``classes`` come from.

    ``positive`` defaults to the last class that is no rejection, ``favourable`` to ``hoped`` or
    else to the positive one. Raises ``DatasetError`` where a setting names a class that is not
    there.
    """
    costs = section.costs or {}
    single = ("positive", "favourable", "reject")
    named = [(f"{name} is", getattr(section, name)) for name in single]
    named += [("costs names", name) for label, row in costs.items() for name in (label, *row)]
    for words, label in named:
        if label is not None and label not in classes:
            raise DatasetError(
                f"task.{words} {label!r}, but the labels in {place} are {', '.join(classes)}",
                cure=f"Choose one of them as task.{words.split()[0]}, or list task.classes.",
            )
    decided = [name for name in classes if name != section.reject]
    if len(decided) < LEAST_DECIDED:
        raise DatasetError(
            f"task.reject leaves {len(decided)} of the classes in {place} to decide for",
            cure="List every class that the model can decide for in task.classes.",
        )
    positive = decided[-1] if section.positive is None else section.positive
    return ClassificationTask(
        classes=classes,
        positive=positive,
        favourable=(hoped or positive) if section.favourable is None else section.favourable,
        threshold=section.threshold,
        output=section.output,
        costs=_matrix(costs, classes) if costs else (),
        reject=section.reject,
    )


def _matrix(
    costs: Mapping[str, Mapping[str, float]], classes: tuple[str, ...]
) -> tuple[tuple[float, ...], ...]:
    rows = [costs.get(label, {}) for label in classes]
    return tuple(tuple(row.get(decision, 0.0) for decision in classes) for row in rows)


def read_target_values(source: RawDataset, role: DatasetRole) -> Floats:
    """Return each row's number, the truth of a regression.

    In production it may not be known yet. Otherwise raises ``DatasetError`` for a missing number,
    and always for an infinite one, for text, or where all are the same.
    """
    name = source.labels or ""
    values = to_numbers(source, name)
    late = role is DatasetRole.PRODUCTION
    wrong = np.flatnonzero(np.isinf(values) if late else ~np.isfinite(values))
    if wrong.size:
        raise DatasetError(
            f"{source.name}: column {name!r} has no number in {source.row(int(wrong[0]))}"
            f"{describe_other_rows(wrong.size)}",
            cure="Fill in the number, or leave the row out.",
        )
    if not late and (values == values[0]).all():
        raise DatasetError(
            f"{source.name}: every row has the number {values[0]:g} in column {name!r}, so nothing "
            "can be said of others",
            cure="Take data whose rows differ in what is predicted.",
        )
    return values


def label_indices(
    source: RawDataset, task: ClassificationTask, role: DatasetRole
) -> NDArray[np.int64]:
    """Return the index of each row's label in the task's classes.

    In production a label may not be known yet (``UNLABELLED``), and all may be the same. Otherwise
    raises ``DatasetError`` for a missing label, or a single class; always for one outside the
    classes.
    """
    name, late = source.labels or "", role is DatasetRole.PRODUCTION
    indices = _indices(source, name, "label", task, late=late)
    if not late and len(np.unique(indices)) == 1:
        raise DatasetError(
            f"{source.name}: every row has the label {task.classes[int(indices[0])]!r} in column "
            f"{source.labels!r}, so nothing can be said of other classes",
            cure=f"Take {role.value} data with rows of at least two classes.",
        )
    return indices


def read_decisions(source: RawDataset, name: str, task: ClassificationTask) -> NDArray[np.int64]:
    """Return the index of the class that a file says each row was given.

    Raises ``DatasetError`` for a missing one, or one outside the classes.
    """
    return _indices(source, name, "prediction", task)


def refuse_foreign_decisions(
    source: RawDataset,
    name: str,
    task: ClassificationTask,
    labels: NDArray[np.int64],
    decisions: NDArray[np.int64],
) -> None:
    """Raise ``DatasetError`` where decisions and labels have different words for the classes."""
    known = labels != UNLABELLED
    true, codes = np.unique(labels[known], return_inverse=True)
    told, decided = np.unique(decisions[known], return_inverse=True)
    if len(told) < LEAST_DECIDED or not len(true) or np.isin(told, true).any():
        return
    meant = assign_classes(codes.astype(np.int64), decided.astype(np.int64))
    words = [
        f"{task.classes[told[at]]!r} to {task.classes[true[place]]!r}"
        for at, place in list(meant.items())[:MOST_RENAMED]
    ]
    raise DatasetError(
        f"{source.name}: no decision in column {name!r} "
        f"({', '.join(task.classes[at] for at in told[:MOST_RENAMED])}) is among the labels in "
        f"column {source.labels!r} ({', '.join(task.classes[at] for at in true[:MOST_RENAMED])})",
        cure=f"If they mean the same, rename {' and '.join(words)} in column {name!r}, and list "
        "each class once under task.classes.",
    )


def _indices(
    source: RawDataset, name: str, what: str, task: ClassificationTask, *, late: bool = False
) -> NDArray[np.int64]:
    written = encode_column(source.column(name), MISSING)
    unknown = np.array([text == MISSING for text in written.names])[written.codes]
    missing = np.flatnonzero(unknown)
    if missing.size and not late:
        raise DatasetError(
            f"{source.name}: column {name!r} has no {what} in "
            f"{source.row(int(missing[0]))}{describe_other_rows(missing.size)}",
            cure=f"Fill in the {what}, or leave the row out.",
        )
    known = {normalize_label(label): index for index, label in enumerate(task.classes)}
    known |= {label: index for index, label in enumerate(task.classes)}
    index_of = [known.get(text, known.get(normalize_label(text), -1)) for text in written.names]
    indices = np.array(index_of, dtype=np.int64)[written.codes]
    indices[unknown] = UNLABELLED
    outside = np.flatnonzero((indices < 0) & ~unknown)
    if outside.size:
        row = int(outside[0])
        raise DatasetError(
            f"{source.name}: column {name!r}, {source.row(row)}: the {what} "
            f"{written[row]!r} is none of the classes {', '.join(task.classes)}"
            f"{_count_alike(outside.size)}{suggest_near_names(str(written[row]), task.classes)}",
            cure=f"Add it to task.classes, or fix the {what}.",
        )
    return indices


def _count_alike(rows: int) -> str:
    return "" if rows == 1 else f" ({rows:,} rows have labels that are no class)"


def read_scores(source: RawDataset, task: ClassificationTask) -> Floats:
    """Return the scores that a file brings as ``[n, classes]`` probabilities.

    One column is the probability of the positive class. Raises ``DatasetError`` for values
    outside 0..1, and for rows whose scores do not sum to 1 (within 0.001).
    """
    columns = np.stack([to_numbers(source, name) for name in source.scores], axis=1)
    outside = np.argwhere(~((columns >= 0) & (columns <= 1)))
    if outside.size:
        row, column = (int(part) for part in outside[0])
        raise DatasetError(
            f"{source.name}: column {source.scores[column]!r}, {source.row(row)}: the score "
            f"{columns[row, column]:g} is no probability"
            f"{describe_other_rows(len(np.unique(outside[:, 0])))}",
            cure="Store probabilities between 0 and 1 (softmax of the logits).",
        )
    if columns.shape[1] == 1 and task.binary:
        positive = columns[:, 0]
        pair = (1 - positive, positive) if task.positive_index == 1 else (positive, 1 - positive)
        return np.stack(pair, axis=1)
    if columns.shape[1] != len(task.classes):
        raise DatasetError(
            f"{source.name}: scores names {columns.shape[1]} columns for {len(task.classes)} "
            f"classes ({', '.join(task.classes)})",
            cure="Name one column a class, in the order of task.classes.",
        )
    sums = columns.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if wrong.size:
        raise DatasetError(
            f"{source.name}: the scores in {source.row(int(wrong[0]))} sum to "
            f"{sums[wrong[0]]:g}, not 1{describe_other_rows(wrong.size)}",
            cure="Store probabilities of all classes.",
        )
    return columns


def read_predictions(source: RawDataset) -> Floats:
    """Return the ``[n, 1]`` predictions that a file brings for a regression.

    Raises ``DatasetError`` for more than one column, and for what is no number.
    """
    if len(source.scores) != 1:
        raise DatasetError(
            f"{source.name}: scores names {len(source.scores)} columns for a regression",
            cure="Name the one column of predictions.",
        )
    values = to_numbers(source, source.scores[0])
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise DatasetError(
            f"{source.name}: column {source.scores[0]!r} has no number in "
            f"{source.row(int(wrong[0]))}{describe_other_rows(wrong.size)}",
            cure="Store a prediction for every row.",
        )
    return values[:, None]


def _label_column(source: RawDataset) -> pl.Series:
    return source.column(source.labels or "")


def _order(text: str) -> tuple[bool, float, str]:
    try:
        return (False, float(text), text)
    except ValueError:
        return (True, 0.0, text)
