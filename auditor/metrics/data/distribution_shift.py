"""Distribution shift between two datasets: per-column counts, readings and label shift.

Current data (production, else evaluation) is compared with reference data, else training data.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import UNKNOWN, Dataset, DatasetRole, TextColumn, concatenate_columns
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.tasks import ClassificationTask, Floats, get_class_names
from auditor.metrics.data.model_answers import DatasetAnswers
from auditor.metrics.stats.column_sketches import (
    ColumnSketch,
    SketchGrid,
    sketch_column,
    sketch_on_grid,
)
from auditor.metrics.stats.drift import (
    ColumnShift,
    category_shift,
    label_share_changes,
    number_shift,
)
from auditor.metrics.stats.p_values import benjamini_hochberg
from auditor.metrics.stats.slice_lattices import (
    CodedColumn,
    ColumnCoding,
    code_texts,
    code_values,
    parse_number,
)

Counts = NDArray[np.int64]


Rows = NDArray[np.int64]
FEW = 20
"""Texts that are numbers count as such from more than so many different ones."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedColumn:
    """A column of two datasets: ``numbers`` (NaN where unknown) or ``texts``, of each."""

    name: str
    numbers: tuple[Floats, Floats] | None = None
    texts: tuple[TextColumn, TextColumn] | None = None

    def take(self, before: Rows, now: Rows) -> "SharedColumn":
        """Return the column of some rows of each."""
        if self.numbers is not None:
            one, other = self.numbers
            return SharedColumn(self.name, numbers=(one[before], other[now]))
        first, second = self.texts or (TextColumn.of(()), TextColumn.of(()))
        return SharedColumn(self.name, texts=(first.take(before), second.take(now)))

    def coded(self, coding: ColumnCoding) -> CodedColumn:
        """Return codes of both, one after the other."""
        if self.numbers is not None:
            return code_values(np.concatenate(self.numbers), coding, category=False)
        one, other = self.texts or (TextColumn.of(()), TextColumn.of(()))
        return code_texts(concatenate_columns(one, other), coding)


def shared_columns(reference: Dataset, current: Dataset) -> tuple[SharedColumn, ...]:
    """Return groups, slice columns and inputs that are in both, in the order of the reference."""
    texts = (_texts(reference), _texts(current))
    found = [
        _of_texts(name, column, texts[1][name])
        for name, column in texts[0].items()
        if name in texts[1]
    ]
    values = (_values(reference), _values(current))
    known = {column.name for column in found}
    found += [
        SharedColumn(name, numbers=(column, values[1][name]))
        for name, column in values[0].items()
        if name in values[1] and name not in known
    ]
    return tuple(found)


def list_unshared_columns(reference: Dataset, current: Dataset) -> tuple[str, ...]:
    """Return the names of columns that only one of both has."""
    one, other = ({*_texts(data), *_names(data)} for data in (reference, current))
    return tuple(sorted(one ^ other))


def _texts(data: Dataset) -> Mapping[str, TextColumn]:
    return {**data.slices, **data.groups}


def _names(data: Dataset) -> tuple[str, ...]:
    return data.features if data.tabular else ()


def _values(data: Dataset) -> Mapping[str, Floats]:
    names = _names(data)
    if data.inputs is None or not names:
        return {}
    columns = np.ascontiguousarray(data.inputs.T)
    return {name: columns[at].astype(np.float64, copy=False) for at, name in enumerate(names)}


def _of_texts(name: str, one: TextColumn, other: TextColumn) -> SharedColumn:
    values = [np.array([parse_number(text) for text in column.names]) for column in (one, other)]
    known = [text for column in (one, other) for text in column.names if text != UNKNOWN]
    distinct = np.unique(np.concatenate(values))
    finite = sum(int(np.isfinite(part).sum()) for part in values)
    if finite == len(known) and np.isfinite(distinct).sum() > FEW:
        return SharedColumn(name, numbers=(values[0][one.codes], values[1][other.codes]))
    return SharedColumn(name, texts=(one, other))


MOST_LEVELS = 200
LEAST_NAMED = 5
"""A level of fewer rows may name somebody, and stands in no evidence."""
REST = ("all other levels that are rarer", "all other levels that are no rarer")


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCounts:
    """A column of both samples: two sketches of numbers, or counts of the same named levels.

    ``hidden`` is how many levels the two last ones stand for, where there are too many to name.
    """

    name: str
    sketches: tuple[ColumnSketch, ColumnSketch] | None = None
    levels: tuple[str, ...] = ()
    counts: tuple[Counts, Counts] | None = None
    hidden: int | None = None

    def shift(self, confidence: float, family: int) -> ColumnShift:
        """Compare the two samples."""
        if self.sketches is not None:
            return number_shift(*self.sketches, confidence, family)
        before, now = self.counts or (np.zeros(1), np.zeros(1))
        return category_shift(before, now, confidence, family, self.hidden)


def count_columns(columns: Iterable[SharedColumn]) -> Iterator[ColumnCounts]:
    """Yield each column, counted; whether a number is known is a column too, where some are not."""
    for column in columns:
        if column.texts is not None:
            yield _levels(column.name, *column.texts)
            continue
        before, now = column.numbers or (np.empty(0), np.empty(0))
        first = sketch_column(before)
        second = None if first is None else sketch_on_grid(now, first.grid)
        if first is not None and second is not None and second.known:
            yield ColumnCounts(column.name, sketches=(first, second))
        if np.isnan(before).any() or np.isnan(now).any():
            known = []
            for part in (before, now):
                unknown = int(np.isnan(part).sum())
                known.append(np.array([unknown, part.size - unknown]))
            yield ColumnCounts(
                f"{column.name} is known", levels=("no", "yes"), counts=(known[0], known[1])
            )


def column_shifts(
    columns: Sequence[ColumnCounts], confidence: float
) -> tuple[tuple[ColumnShift, ...], Floats]:
    """Return each column's shift, all intervals joint, and the p-values adjusted for all."""
    found = tuple(column.shift(confidence, len(columns)) for column in columns)
    return found, benjamini_hochberg([shift.p_value for shift in found])


def write_column_counts(columns: Sequence[ColumnCounts]) -> Evidence:
    """Return the counts as evidence; what is said of the reference is its sketch."""
    told: list[Json] = []
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in _ARRAYS}
    for column in columns:
        about: dict[str, Json] = {
            "name": column.name, "levels": list(column.levels), "hidden": column.hidden
        }  # fmt: skip
        if column.sketches is not None:
            grid = column.sketches[0].grid
            parts["edges"].append(grid.edges)
            about |= {"cells": grid.cells, "even": grid.even}
            about["exact"] = [side.exact for side in column.sketches]
            about["unknown"] = [side.unknown for side in column.sketches]
        for at, side in enumerate(("reference", "current")):
            if column.sketches is not None:
                parts[side].append(column.sketches[at].counts)
                parts[f"{side}_places"].append(column.sketches[at].places)
            elif column.counts is not None:
                parts[side].append(column.counts[at])
        told.append(about)
    arrays = {
        name: np.concatenate([np.empty(0, kind), *parts[name]]) for name, kind in _ARRAYS.items()
    }
    return {"columns": told, **arrays}


def read_column_counts(evidence: Evidence) -> tuple[ColumnCounts, ...]:
    """Read ``write_column_counts`` back."""
    read = {name: _ArrayReader(cast("Floats", evidence[name])) for name in _ARRAYS}
    return tuple(
        _column(told, read) for told in cast("Sequence[Mapping[str, Json]]", evidence["columns"])
    )


_ARRAYS: Mapping[str, type] = {
    "edges": np.float64,
    "reference": np.int64,
    "current": np.int64,
    "reference_places": np.float64,
    "current_places": np.float64,
}


@dataclass(slots=True)
class _ArrayReader:
    """Takes the next values of an array."""

    values: NDArray[np.generic]
    at: int = 0

    def take(self, count: int) -> Floats:
        """Return the next ``count`` values."""
        self.at += count
        return cast("Floats", self.values[self.at - count : self.at])


def _column(told: Mapping[str, Json], read: Mapping[str, _ArrayReader]) -> ColumnCounts:
    name, levels = str(told["name"]), tuple(cast("list[str]", told["levels"]))
    if levels:
        pair = [cast("Counts", read[side].take(len(levels))) for side in ("reference", "current")]
        hidden = cast("int | None", told["hidden"])
        return ColumnCounts(name, levels=levels, counts=(pair[0], pair[1]), hidden=hidden)
    cells = cast("int", told["cells"])
    grid = SketchGrid(read["edges"].take(cells + 1), even=bool(told["even"]))
    exact, unknown = cast("list[bool]", told["exact"]), cast("list[int]", told["unknown"])
    both = [
        ColumnSketch(
            grid,
            cast("Counts", read[side].take(cells + 2)),
            read[f"{side}_places"].take(cells + 2),
            exact[at],
            unknown[at],
        )
        for at, side in enumerate(("reference", "current"))
    ]
    return ColumnCounts(name, sketches=(both[0], both[1]))


def _levels(name: str, before: TextColumn, now: TextColumn) -> ColumnCounts:
    """Count the most frequent levels, and all others as two: those that are rarer now, or not.

    Levels of few rows are among the others. So joined, what all of them have moved is still seen.
    """
    both = concatenate_columns(before, now)
    size = len(both.names)
    first = np.bincount(both.codes[: len(before)], minlength=size)
    second = np.bincount(both.codes[len(before) :], minlength=size)
    kept = np.sort(np.argsort(-(first + second), kind="stable")[:MOST_LEVELS])
    kept = kept[(first + second)[kept] >= LEAST_NAMED]
    named = tuple(both.names[at] for at in kept)
    if kept.size == size:
        return ColumnCounts(name, levels=named, counts=(first, second))
    others = np.setdiff1d(np.arange(size), kept)
    rarer = second[others] * len(before) < first[others] * len(now)
    counts = [
        np.concatenate([part[kept], np.bincount(~rarer, part[others], 2).astype(np.int64)])
        for part in (first, second)
    ]
    return ColumnCounts(
        name, levels=(*named, *REST), counts=(counts[0], counts[1]), hidden=others.size
    )


TEST = "smirnov of numbers, pearson chi-squared of categories; benjamini-hochberg"
UNPROVEN = "a p-value says how sure a change is, not how large; a large one proves no stability"


def largest_shift_readings(
    columns: Sequence[ColumnCounts],
    found: Sequence[ColumnShift],
    adjusted: Floats,
    task: Mapping[str, Json],
) -> Iterator[Measurement]:
    """Yield the change of the column that has changed most, with the interval of the largest, and
    the least of all adjusted p-values.
    """
    worst = max(range(len(found)), key=lambda at: found[at].distance.value)
    every = [shift.distance for shift in found]
    interval = replace(
        every[worst], low=max(at.low for at in every), high=max(at.high for at in every)
    )
    details: dict[str, Json] = {
        "column": columns[worst].name,
        "columns": len(columns),
        **{name: task[name] for name in ("reference", "current", "rows", "only_in_one")},
    }
    yield Measurement.of(interval, "largest_distance", Unit.SHARE, details=details)
    surest = int(np.argmin(adjusted))
    least = doubt_p_value("least_p", float(adjusted[surest]), TEST, every[surest].n)
    yield replace(least, details={**least.details, "column": columns[surest].name})


def most_shifted_columns(found: Sequence[ColumnShift], most: int) -> list[int]:
    """Return the places of the columns that have changed most, and of those moved farthest.

    One whose move has no number may have moved the farthest of all.
    """
    places = range(len(found))
    moves = [
        0.0 if at.jensen_shannon is not None else math.inf if at.moved is None else at.moved.value
        for at in found
    ]
    changed = sorted(places, key=lambda at: -found[at].distance.value)
    moved = sorted(places, key=lambda at: -moves[at])
    read = {*changed[:most], *moved[:most]}
    return [at for at in changed if at in read]


def column_shift_readings(name: str, shift: ColumnShift, adjusted: float) -> Iterator[Reading]:
    """Yield how far a column has changed, and in details whether chance explains it."""
    divergence = shift.jensen_shannon
    more: dict[str, Json] = {} if divergence is None else {"jensen_shannon": divergence}
    place = {"column": name}
    details = {"adjusted_p_value": adjusted, "test": TEST, **more}
    yield Measurement.of(shift.distance, "distance", Unit.SHARE, params=place, details=details)
    if shift.moved is not None:
        yield Measurement.of(shift.moved, "moved", Unit.NONE, params=place)
    elif divergence is None:
        yield Gap(
            reason=GapReason.NOT_DEFINED,
            detail=f"{place['column']} has no spread in the reference that a move could be held "
            "to.",
            cure="Bound its distance, or name a reference in which it varies.",
            metric="moved",
            params=place,
        )


def doubt_p_value(metric: str, value: float, method: str, n: int) -> Measurement:
    """Return a p-value, doubted, so that no rule passes on it."""
    return Measurement(
        metric=metric, value=value, method=method, n=n, doubted=True, details={"doubt": UNPROVEN}
    )


SCORE = "score of the model"
ASSUMED = "every class still looks as it did in the reference; only how many of each has changed"


def scores_column(subject: Subject, said: Sequence[DatasetAnswers | Gap]) -> Iterator[SharedColumn]:
    """Yield the model's score of both as one more column, where it scored both."""
    known = [at.scores for at in said if isinstance(at, DatasetAnswers)]
    if len(known) < len(said):
        return
    task = subject.task
    if isinstance(task, ClassificationTask) and task.binary:
        before, now = (scores[:, task.positive_index] for scores in known)
    else:
        before, now = (scores.max(axis=1) for scores in known)
    yield SharedColumn(SCORE, numbers=(before, now))


def count_decisions_by_label(subject: Subject, said: Sequence[DatasetAnswers | Gap]) -> Evidence:
    """Count the reference's decisions by label, and the current decisions."""
    before, now = said
    size = len(get_class_names(subject.task))
    if isinstance(before, Gap) or isinstance(now, Gap) or not before.labelled.any() or not size:
        return {"confusion": np.zeros((0, 0), np.int64), "decided": np.zeros(0, np.int64)}
    first, second = (subject.decisions(at.data.role) for at in (before, now))
    confusion = np.zeros((size, size), dtype=np.int64)
    labels = cast("Counts", before.data.labels)[before.labelled]
    np.add.at(confusion, (first[before.labelled], labels), 1)
    return {"confusion": confusion, "decided": np.bincount(second, minlength=size)}


def label_shift_readings(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Yield how the share of each class has changed, doubted, or why nobody can say."""
    confusion = cast("Counts", evidence["confusion"])
    names = cast("Mapping[str, list[str]]", evidence["task"])["classes"]
    metric = "label_share_change"
    if not confusion.size:
        yield replace(NO_DECISIONS, metric=metric)
        return
    found = label_share_changes(confusion, cast("Counts", evidence["decided"]), confidence)
    if found is None:
        yield replace(BLURRED, metric=metric)
        return
    details: dict[str, Json] = {"doubt": f"an estimate without labels, if {ASSUMED}"}
    for name, interval in zip(names, found, strict=True):
        yield Measurement.of(
            interval, metric, Unit.NONE, params={"class": name}, doubted=True, details=details
        )


NO_DECISIONS = Gap(
    reason=GapReason.NEEDS_LABELS,
    detail="How many there are of each class is estimated from decisions for both, and labels of "
    "the reference, which are not all there.",
    cure="Name labels and, without a model, predictions of the reference data in the audit file.",
)
BLURRED = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The model's decisions tell some classes of the reference too badly apart to say how "
    "many there are of each now.",
    cure="Name a reference that holds every class.",
)


NO_REFERENCE = Gap(
    reason=GapReason.NEEDS_REFERENCE_DATA,
    detail="The audit names neither reference nor training data to compare with.",
    cure="Name an earlier sample under data.reference in the audit file.",
)
NO_CURRENT = Gap(
    reason=GapReason.NEEDS_EVALUATION_DATA,
    detail="The audit names neither production nor evaluation data.",
    cure="Name what the model meets now under data.production in the audit file.",
)


def current_role(subject: Subject) -> DatasetRole | None:
    """Return the role of what the model meets now: production, else evaluation."""
    return _first(subject, DatasetRole.PRODUCTION, DatasetRole.EVALUATION)


def select_compared_datasets(subject: Subject) -> tuple[Dataset, Dataset] | Gap:
    """Return reference (else training) and current data."""
    before, now = (
        _first(subject, DatasetRole.REFERENCE, DatasetRole.TRAINING),
        current_role(subject),
    )
    if now is None:
        return NO_CURRENT
    if before is None:
        return NO_REFERENCE
    return subject.datasets[before], subject.datasets[now]


def _first(subject: Subject, *roles: DatasetRole) -> DatasetRole | None:
    return next((role for role in roles if role in subject.datasets), None)
