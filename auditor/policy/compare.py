"""Which figures moved beyond their intervals, after correction over all that were compared."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from auditor.domain.checks import TIMES, Check
from auditor.domain.intervals import Interval
from auditor.domain.readings import Measurement, Repeat
from auditor.judging.family import step_down
from auditor.moving.sides import Rows, Side
from auditor.moving.values import Basis, Moved, Place, Way
from auditor.stats.clusters import clustered_mean
from auditor.stats.differences import LEAST_CLUSTERS, interval_difference
from auditor.stats.paired import LEAST, mean_difference, paired_difference

WORST_FIRST = tuple(Way)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The figures that two records share, and the rows of those that can be compared by row."""

    before: Side
    after: Side
    rows: Mapping[Place, tuple[Rows, Rows]]

    @classmethod
    def of(cls, before: Side, after: Side, *, same_rows: bool) -> "Pairs":
        """Pair two sides; rows are paired where both saw the ``same_rows`` under the same ids."""
        if not same_rows:
            return cls(before, after, {})
        old, new = before.rows(), after.rows()
        both = {place: (old[place], new[place]) for place in old if place in new}
        paired = {place: found for place, them in both.items() if (found := _aligned(*them))}
        return cls(before, after, paired)

    def changes(self, places: Sequence[Place], confidence: float) -> list[Interval]:
        """Return by how much each figure changed, at a confidence."""
        apart = [place for place in places if place not in self.rows]
        old = self.before.at(confidence) if apart else {}
        new = self.after.at(confidence) if apart else {}
        return [
            _by_row(*self.rows[place], confidence)
            if place in self.rows
            else _apart(old[place], new[place], confidence)
            for place in places
        ]


def moved(
    pairs: Pairs,
    places: Sequence[Place],
    confidence: float,
    better_up: Mapping[Place, bool | None],
) -> tuple[tuple[Moved, ...], int]:
    """Return every shared figure with its change, the worse first, and how many were tested.

    A change is a finding only if its interval leaves zero out at Holm's level over all figures
    that have an interval, so that at most ``1 - confidence`` of comparisons of one model with
    itself say that anything moved. What has no interval moved where it is not the same.
    """
    old, new = pairs.before.signed(), pairs.after.signed()
    basis = {place: _basis(old[place], new[place], place in pairs.rows) for place in places}
    tested = [place for place in places if basis[place] in {Basis.ROWS, Basis.INTERVALS}]
    at = cache(lambda level: pairs.changes(tested, 1 - level))
    alpha = 1 - confidence
    proven = step_down(len(tested), alpha, lambda level: _nonzero(at(level))) if tested else ()
    changes = dict(zip(tested, at(alpha), strict=True)) if tested else {}
    held = {tested[index] for index in proven}
    found = [
        _moved(old[place], new[place], basis[place], changes.get(place), better_up.get(place), held)
        for place in places
    ]
    ordered = sorted(found, key=lambda item: (WORST_FIRST.index(item.way), not item.alone))
    return tuple(ordered), len(tested)


def _moved(  # noqa: PLR0913, PLR0917 -- a figure twice, and what is known of its change
    before: Measurement,
    after: Measurement,
    basis: Basis,
    change: Interval | None,
    better_up: bool | None,  # noqa: FBT001 -- a property of the metric, not a switch
    held: AbstractSet[Place],
) -> Moved:
    found = Moved(before=before, after=after, basis=basis, change=change)
    if basis is Basis.EXACT and before.value != after.value:
        return replace(found, alone=True, way=_way(_sign(before, after), better_up))
    if change is None:
        return found
    way = _way(np.sign(change.value), better_up) if found.place in held else Way.SAME
    return replace(found, alone=bool(_nonzero([change])), way=way)


def _basis(before: Measurement, after: Measurement, by_row: bool) -> Basis:  # noqa: FBT001 -- what is at hand
    if before.doubted or after.doubted:
        return Basis.DOUBTED
    if after.unit in TIMES or (_bare(after) and after.repeat is Repeat.INTERVAL):
        return Basis.MOMENT
    if _bare(before) or _bare(after):
        return Basis.EXACT
    return Basis.ROWS if by_row else Basis.INTERVALS


def _bare(measurement: Measurement) -> bool:
    """Whether a figure has no interval."""
    plain = isinstance(measurement.value, bool | str) or measurement.value is None
    return plain or measurement.low is None or measurement.high is None


def _sign(before: Measurement, after: Measurement) -> float:
    old, new = before.value, after.value
    if isinstance(old, str) or isinstance(new, str) or old is None or new is None:
        return 0.0
    return float(np.sign(float(new) - float(old)))


def _way(sign: float, better_up: bool | None) -> Way:  # noqa: FBT001 -- a property of the metric
    if better_up is None or sign == 0:
        return Way.OTHER
    return Way.BETTER if (sign > 0) == better_up else Way.WORSE


def _nonzero(changes: Sequence[Interval]) -> frozenset[int]:
    return frozenset(i for i, item in enumerate(changes) if item.low > 0 or item.high < 0)


def _aligned(before: Rows, after: Rows) -> tuple[Rows, Rows] | None:
    """Return both with the rows in one order, or nothing unless they are the same rows."""
    here, there = np.argsort(before.ids, kind="stable"), np.argsort(after.ids, kind="stable")
    same = len(here) == len(there) and bool(np.all(before.ids[here] == after.ids[there]))
    if not same or len(np.unique(before.ids)) != len(before.ids):
        return None
    if before.values.dtype != np.bool_ and len(here) < LEAST:
        return None
    if after.clusters is not None and len(np.unique(after.clusters)) < LEAST_CLUSTERS:
        return None
    return _taken(before, here), _taken(after, there)


def _taken(rows: Rows, order: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Rows:
    clusters = None if rows.clusters is None else rows.clusters[order]
    return Rows(rows.ids[order], rows.values[order], clusters)


def _by_row(before: Rows, after: Rows, confidence: float) -> Interval:
    old, new = before.values, after.values
    differences = new.astype(np.float64) - old.astype(np.float64)
    flags = old.dtype == np.bool_ and new.dtype == np.bool_
    if not flags and not differences.any():
        return Interval(0.0, 0.0, 0.0, confidence, "every row is equal", len(differences))
    if after.clusters is not None and differences.any():
        return clustered_mean(differences, after.clusters, confidence)
    if not flags:
        return mean_difference(differences, confidence)
    gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    return paired_difference(gained, lost, len(differences), confidence)


def _apart(before: Measurement, after: Measurement, confidence: float) -> Interval:
    old, new = (_interval(item, confidence) for item in (before, after))
    return interval_difference(new, old)


def _interval(measurement: Measurement, confidence: float) -> Interval:
    value, low, high = measurement.value, measurement.low, measurement.high
    if isinstance(value, bool | str) or value is None or low is None or high is None:
        message = f"{measurement.check}/{measurement.metric} has no interval"
        raise TypeError(message)
    return Interval(value, low, high, confidence, measurement.method, measurement.n)


def better_up(
    places: Sequence[Place], checks: Mapping[str, type[Check]], side: Side
) -> dict[Place, bool | None]:
    """Return whether more is better, by the check's word, else by the policy's rules."""
    return {place: _better_up(place, checks, side) for place in places}


def _better_up(place: Place, checks: Mapping[str, type[Check]], side: Side) -> bool | None:
    check = checks.get(place.check)
    metric = None if check is None else check.emits.get(place.metric)
    if metric is not None and metric.higher_is_better is not None:
        return metric.higher_is_better
    asked = [
        rule.limits
        for rule in side.policy.rules
        if (rule.check, rule.metric) == (place.check, place.metric) and rule.limits is not None
    ]
    ups = {item.most is None for item in asked if (item.least is None) != (item.most is None)}
    return ups.pop() if len(ups) == 1 else None
