"""What a rule is judged by: all its readings on a target, or those at each place by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from auditor.domain.policies import Rule
from auditor.domain.readings import Gap, Measurement, Scalar
from auditor.judging.docket import Docket, same

SLICE = "slice"
TARGET = "target"

Key: TypeAlias = tuple[tuple[str, int, float | str], ...]
"""A place in a form that can be sorted, with numbers before texts."""


@dataclass(frozen=True, slots=True)
class Part:
    """The readings and gaps of a rule that lie at one place; the whole of them has none."""

    place: Mapping[str, Scalar] = field(default_factory=dict)
    matching: Sequence[tuple[int, Measurement]] = ()
    missing: Sequence[tuple[int, Gap]] = ()

    @property
    def key(self) -> Key:
        """The place in a form that can be compared."""
        return key_of(self.place)


def parts(rule: Rule, target: str, docket: Docket) -> tuple[Part, ...]:
    """Split a rule's readings on a target by the coordinates that it is asked for each of.

    Every reading lies in exactly one part, so that nothing is dropped: one that has none of the
    coordinates lies where there are none. A gap that names a place makes a part even where nothing
    was measured, and one that names none holds back all. In the order of the places; never empty.
    """
    matching, missing = docket.matching(rule, target), docket.missing(rule, target)
    keys = [key for key in rule.for_each if key != TARGET]
    if not keys:
        return (Part({}, matching, missing),)
    places: dict[Key, Mapping[str, Scalar]] = {}
    found: dict[Key, list[tuple[int, Measurement]]] = {}
    for item in matching:
        place = _place(item[1].params, item[1].slice, keys)
        key = key_of(place)
        places.setdefault(key, place)
        found.setdefault(key, []).append(item)
    for _, gap in missing:
        place = _place(gap.params, {}, keys)
        if place:
            places.setdefault(key_of(place), place)
    if not places:
        return (Part({}, (), missing),)
    return tuple(
        Part(places[key], tuple(found.get(key, ())), _held_back(missing, places[key], keys))
        for key in sorted(places)
    )


def key_of(place: Mapping[str, Scalar]) -> Key:
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
            key in place and same(place[key], gap.params[key]) for key in keys if key in gap.params
        )
    )
