"""Index of a record's readings by metric and slice, from which rules select their evidence.

A rule is evaluated on all its readings of a target together, or on the readings of each place in
the data separately.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

from auditor.domain.policies import Rule
from auditor.domain.readings import Gap, Measurement, Reading, Scalar

SAME = 1e-12
DIGITS = 9
TARGET = "target"


Place: TypeAlias = tuple[str, str, str]
Numbered: TypeAlias = tuple[int, Measurement]
Bucket: TypeAlias = tuple[str, str, float | str]
MANY = 32
"""From so many readings of one metric on, they are looked up by coordinate, not one by one."""


@dataclass(frozen=True, slots=True)
class ReadingIndex:
    """Readings with their index in the record, by target and check (and metric).

    Where there are many of one metric, ``index`` finds them by the value of a coordinate.
    """

    measurements: Mapping[Place, Sequence[Numbered]]
    gaps: Mapping[tuple[str, str], Sequence[tuple[int, Gap]]]
    index: Mapping[Place, Mapping[Bucket, Sequence[Numbered]]] = field(default_factory=dict)

    @classmethod
    def of(cls, readings: Sequence[Reading], rules: Iterable[Rule]) -> "ReadingIndex":
        """Sort the readings that rules speak of by what they measure, in their own order."""
        asked: dict[tuple[str, str], bool] = {}
        for rule in rules:
            what = (rule.check, rule.metric)
            asked[what] = bool(rule.where) or asked.get(what, False)
        measurements: dict[Place, list[Numbered]] = {}
        gaps: dict[tuple[str, str], list[tuple[int, Gap]]] = {}
        for index, reading in enumerate(readings):
            if isinstance(reading, Gap):
                gaps.setdefault((reading.target, reading.check), []).append((index, reading))
            elif (reading.check, reading.metric) in asked:
                place = (reading.target, reading.check, reading.metric)
                measurements.setdefault(place, []).append((index, reading))
        looked_up = {
            place: _indexed(found)
            for place, found in measurements.items()
            if len(found) >= MANY and asked[place[1:]]
        }
        return cls(measurements, gaps, looked_up)

    def matching(self, rule: Rule, target: str) -> tuple[Numbered, ...]:
        """Return the measurements on ``target`` that the rule speaks of, with their indices."""
        place = (target, rule.check, rule.metric)
        there: Sequence[Numbered] = self.measurements.get(place, ())
        if not rule.where:
            return tuple(there)
        if place in self.index:
            there = min((_at(self.index[place], key, wanted, there)
                         for key, wanted in rule.where.items()), key=len)  # fmt: skip
        return tuple(item for item in there if _lies_where(item[1], rule.where))

    def whole_gaps(self, rule: Rule, target: str) -> tuple[tuple[int, Gap], ...]:
        """Return why the rule's check as a whole measured nothing."""
        found = self.gaps.get((target, rule.check), ())
        return tuple(item for item in found if not item[1].metric)

    def missing(self, rule: Rule, target: str) -> tuple[tuple[int, Gap], ...]:
        """Return the gaps of the rule's own metric that its ``where`` does not rule out.

        A coordinate that a gap does not name may be any: the doubt is not in the rule's favour.
        """
        there = self.gaps.get((target, rule.check))
        if there is None:
            return ()
        return tuple(
            (index, gap)
            for index, gap in there
            if gap.metric == rule.metric
            and all(
                is_same_coordinate(rule.where[key], gap.params[key])
                for key in rule.where
                if key in gap.params
            )
        )


def _indexed(found: Sequence[Numbered]) -> Mapping[Bucket, Sequence[Numbered]]:
    """Sort readings by the values of their coordinates, each under every one that it has."""
    index: defaultdict[Bucket, list[Numbered]] = defaultdict(list)
    for item in found:
        for key, value in {**item[1].slice, **item[1].params}.items():
            index[_bucket(key, value)].append(item)
    return index


def _at(
    index: Mapping[Bucket, Sequence[Numbered]],
    key: str,
    wanted: Scalar,
    everything: Sequence[Numbered],
) -> Sequence[Numbered]:
    """Return all readings that may have a value, and few others, in their own order."""
    if key == TARGET:
        return everything
    if isinstance(wanted, bool | str):
        return index.get(_bucket(key, wanted), ())
    # What rounding alone tells apart lies in one bucket or in two beside each other.
    near = {_bucket(key, float(wanted) - SAME), _bucket(key, float(wanted) + SAME)}
    found = (item for bucket in near for item in index.get(bucket, ()))
    return sorted(found, key=itemgetter(0))


def _bucket(key: str, value: Scalar) -> Bucket:
    if isinstance(value, bool | str):
        return key, type(value).__name__, str(value)
    return key, "number", round(float(value), DIGITS)


def _lies_where(measurement: Measurement, where: Mapping[str, Scalar]) -> bool:
    return all(
        is_same_coordinate(wanted, _coordinate(measurement, key)) for key, wanted in where.items()
    )


def _coordinate(measurement: Measurement, key: str) -> Scalar | None:
    if key in measurement.params:
        return measurement.params[key]
    if key in measurement.slice:
        return measurement.slice[key]
    return measurement.target if key == TARGET else None


def is_same_coordinate(wanted: Scalar, found: Scalar | None) -> bool:
    """Return whether two coordinates are equal; numbers that rounding alone tells apart are."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return abs(wanted - found) <= SAME
    return wanted == found


SLICE = "slice"

Key: TypeAlias = tuple[tuple[str, int, float | str], ...]
"""A place in a form that can be sorted, with numbers before texts."""


@dataclass(frozen=True, slots=True)
class ReadingGroup:
    """The readings and gaps of a rule that lie at one place; the whole of them has none."""

    place: Mapping[str, Scalar] = field(default_factory=dict)
    matching: Sequence[tuple[int, Measurement]] = ()
    missing: Sequence[tuple[int, Gap]] = ()

    @property
    def key(self) -> Key:
        """The place in a form that can be compared."""
        return build_place_key(self.place)


def split_readings(rule: Rule, target: str, docket: ReadingIndex) -> tuple[ReadingGroup, ...]:
    """Split a rule's readings on a target by the coordinates that it is asked for each of.

    Every reading lies in exactly one part, so that nothing is dropped: one that has none of the
    coordinates lies where there are none. A gap that names a place makes a part even where nothing
    was measured, and one that names none holds back all. In the order of the places; never empty.
    """
    matching, missing = docket.matching(rule, target), docket.missing(rule, target)
    keys = [key for key in rule.for_each if key != TARGET]
    if not keys:
        return (ReadingGroup({}, matching, missing),)
    places: dict[Key, Mapping[str, Scalar]] = {}
    found: dict[Key, list[tuple[int, Measurement]]] = {}
    for item in matching:
        place = _place(item[1].params, item[1].slice, keys)
        key = build_place_key(place)
        places.setdefault(key, place)
        found.setdefault(key, []).append(item)
    for _, gap in missing:
        place = _place(gap.params, {}, keys)
        if place:
            places.setdefault(build_place_key(place), place)
    if not places:
        return (ReadingGroup({}, (), missing),)
    return tuple(
        ReadingGroup(places[key], tuple(found.get(key, ())), _held_back(missing, places[key], keys))
        for key in sorted(places)
    )


def build_place_key(place: Mapping[str, Scalar]) -> Key:
    """Return a place in a form that can be compared; yes and no are told from 1 and 0."""
    return tuple((name, *_ranked(place[name])) for name in sorted(place))


def _ranked(value: Scalar) -> tuple[int, float | str]:
    if isinstance(value, bool):
        return 0, float(value)
    return (2, value) if isinstance(value, str) else (1, float(value))


def _place(
    params: Mapping[str, Scalar], sliced: Mapping[str, Scalar], keys: Sequence[str]
) -> dict[str, Scalar]:
    place: dict[str, Scalar] = dict(sliced) if SLICE in keys else {}
    for key in keys:
        if key in params:
            place[key] = params[key]
        elif key in sliced:
            place[key] = sliced[key]
    return place


def _held_back(
    missing: Sequence[tuple[int, Gap]], place: Mapping[str, Scalar], keys: Sequence[str]
) -> tuple[tuple[int, Gap], ...]:
    """Return the gaps that do not name another place than this."""
    return tuple(
        (index, gap)
        for index, gap in missing
        if all(
            key in place and is_same_coordinate(place[key], gap.params[key])
            for key in keys
            if key in gap.params
        )
    )
