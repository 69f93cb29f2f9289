"""Shifts of columns as readings."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from auditor.domain.canonical import Json
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.tasks import Floats
from auditor.stats.shifts import Shift
from auditor.surveying.column_counts import Counted

TEST = "smirnov of numbers, pearson chi-squared of categories; benjamini-hochberg"
UNPROVEN = "a p-value says how sure a change is, not how large; a large one proves no stability"


def largest(
    columns: Sequence[Counted],
    found: Sequence[Shift],
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
    least = doubted_p("least_p", float(adjusted[surest]), TEST, every[surest].n)
    yield replace(least, details={**least.details, "column": columns[surest].name})


def most_changed(found: Sequence[Shift], most: int) -> list[int]:
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


def column_readings(name: str, shift: Shift, adjusted: float) -> Iterator[Reading]:
    """Yield how far a column has changed, and in details whether chance explains it."""
    divergence = shift.jensen_shannon
    more: dict[str, Json] = {} if divergence is None else {"jensen_shannon": divergence}
    place = {"column": name}
    details = {"adjusted_p_value": adjusted, "test": TEST, **more}
    yield Measurement.of(shift.distance, "distance", Unit.SHARE, params=place, details=details)
    if shift.moved is not None:
        yield Measurement.of(shift.moved, "moved", Unit.NONE, params=place)
    elif divergence is None:
        yield _unmoved(place)


def _unmoved(place: Mapping[str, str]) -> Gap:
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"{place['column']} has no spread in the reference that a move could be held to.",
        cure="Bound its distance, or name a reference in which it varies.",
        metric="moved",
        params=place,
    )


def doubted_p(metric: str, value: float, method: str, n: int) -> Measurement:
    """Return a p-value, doubted, so that no rule passes on it."""
    return Measurement(
        metric=metric, value=value, method=method, n=n, doubted=True, details={"doubt": UNPROVEN}
    )
