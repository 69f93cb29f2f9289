"""Shifts of columns as readings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Unit
from auditor.stats.shifts import Shift
from auditor.surveying.drifting import Counted

UNPROVEN = "a p-value says how sure a change is, not how large; a large one proves no stability"


def largest(
    columns: Sequence[Counted], found: Sequence[Shift], task: Mapping[str, Json]
) -> Measurement:
    """Return the change of the column that has changed most, with the interval of the largest."""
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
    return Measurement.of(interval, "largest_distance", Unit.SHARE, details=details)


def column_readings(name: str, shift: Shift, adjusted: float) -> Iterator[Measurement]:
    """Yield how far a column has changed, and whether chance explains it."""
    divergence = shift.jensen_shannon
    more: dict[str, Json] = {} if divergence is None else {"jensen_shannon": divergence}
    place = {"column": name}
    details = {"adjusted_p": adjusted, **more}
    yield Measurement.of(shift.distance, "distance", Unit.SHARE, params=place, details=details)
    if shift.moved is not None:
        yield Measurement.of(shift.moved, "moved", Unit.NONE, params=place)
    test = "smirnov" if divergence is None else "pearson chi-squared"
    found = doubted_p("adjusted_p", adjusted, f"{test}, benjamini-hochberg", shift.distance.n)
    yield replace(found, params=place)


def doubted_p(metric: str, value: float, method: str, n: int) -> Measurement:
    """Return a p-value, doubted, so that no rule passes on it."""
    return Measurement(
        metric=metric, value=value, method=method, n=n, doubted=True, details={"doubt": UNPROVEN}
    )
