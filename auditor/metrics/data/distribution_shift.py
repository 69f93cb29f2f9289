"""Columns of a reference and of current data, counted so that they can be compared and kept."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.columns import Column, appended
from auditor.domain.evidence import Evidence
from auditor.domain.tasks import Floats
from auditor.stats.multiplicity import benjamini_hochberg
from auditor.stats.shifts import Shift, category_shift, number_shift
from auditor.stats.sketches import Grid, Sketch, counted, sketch
from auditor.surveying.shared_columns import Shared

MOST_LEVELS = 200
LEAST_NAMED = 5
"""A level of fewer rows may name somebody, and stands in no evidence."""
REST = ("all other levels that are rarer", "all other levels that are no rarer")
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A column of both samples: two sketches of numbers, or counts of the same named levels.

    ``hidden`` is how many levels the two last ones stand for, where there are too many to name.
    """

    name: str
    sketches: tuple[Sketch, Sketch] | None = None
    levels: tuple[str, ...] = ()
    counts: tuple[Counts, Counts] | None = None
    hidden: int | None = None

    def shift(self, confidence: float, family: int) -> Shift:
        """Compare the two samples."""
        if self.sketches is not None:
            return number_shift(*self.sketches, confidence, family)
        before, now = self.counts or (np.zeros(1), np.zeros(1))
        return category_shift(before, now, confidence, family, self.hidden)


def count_columns(columns: Iterable[Shared]) -> Iterator[Counted]:
    """Yield each column, counted; whether a number is known is a column too, where some are not."""
    for column in columns:
        if column.texts is not None:
            yield _levels(column.name, *column.texts)
            continue
        before, now = column.numbers or (np.empty(0), np.empty(0))
        first = sketch(before)
        second = None if first is None else counted(now, first.grid)
        if first is not None and second is not None and second.known:
            yield Counted(column.name, sketches=(first, second))
        if np.isnan(before).any() or np.isnan(now).any():
            known = [_known(part) for part in (before, now)]
            yield Counted(
                f"{column.name} is known", levels=("no", "yes"), counts=(known[0], known[1])
            )


def shifts(columns: Sequence[Counted], confidence: float) -> tuple[tuple[Shift, ...], Floats]:
    """Return each column's shift, all intervals joint, and the p-values adjusted for all."""
    found = tuple(column.shift(confidence, len(columns)) for column in columns)
    return found, benjamini_hochberg([shift.p_value for shift in found])


def to_evidence(columns: Sequence[Counted]) -> Evidence:
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


def from_evidence(evidence: Evidence) -> tuple[Counted, ...]:
    """Read ``to_evidence`` back."""
    read = {name: _Reader(cast("Floats", evidence[name])) for name in _ARRAYS}
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
class _Reader:
    """Takes the next values of an array."""

    values: NDArray[np.generic]
    at: int = 0

    def take(self, count: int) -> Floats:
        """Return the next ``count`` values."""
        self.at += count
        return cast("Floats", self.values[self.at - count : self.at])


def _column(told: Mapping[str, Json], read: Mapping[str, _Reader]) -> Counted:
    name, levels = str(told["name"]), tuple(cast("list[str]", told["levels"]))
    if levels:
        pair = [cast("Counts", read[side].take(len(levels))) for side in ("reference", "current")]
        hidden = cast("int | None", told["hidden"])
        return Counted(name, levels=levels, counts=(pair[0], pair[1]), hidden=hidden)
    cells = cast("int", told["cells"])
    grid = Grid(read["edges"].take(cells + 1), even=bool(told["even"]))
    exact, unknown = cast("list[bool]", told["exact"]), cast("list[int]", told["unknown"])
    both = [
        Sketch(
            grid,
            cast("Counts", read[side].take(cells + 2)),
            read[f"{side}_places"].take(cells + 2),
            exact[at],
            unknown[at],
        )
        for at, side in enumerate(("reference", "current"))
    ]
    return Counted(name, sketches=(both[0], both[1]))


def _levels(name: str, before: Column, now: Column) -> Counted:
    """Count the most frequent levels, and all others as two: those that are rarer now, or not.

    Levels of few rows are among the others. So joined, what all of them have moved is still seen.
    """
    both = appended(before, now)
    size = len(both.names)
    first = np.bincount(both.codes[: len(before)], minlength=size)
    second = np.bincount(both.codes[len(before) :], minlength=size)
    kept = np.sort(np.argsort(-(first + second), kind="stable")[:MOST_LEVELS])
    kept = kept[(first + second)[kept] >= LEAST_NAMED]
    named = tuple(both.names[at] for at in kept)
    if kept.size == size:
        return Counted(name, levels=named, counts=(first, second))
    others = np.setdiff1d(np.arange(size), kept)
    rarer = second[others] * len(before) < first[others] * len(now)
    counts = [
        np.concatenate([part[kept], np.bincount(~rarer, part[others], 2).astype(np.int64)])
        for part in (first, second)
    ]
    return Counted(name, levels=(*named, *REST), counts=(counts[0], counts[1]), hidden=others.size)


def _known(values: Floats) -> Counts:
    unknown = int(np.isnan(values).sum())
    return np.array([unknown, values.size - unknown])
