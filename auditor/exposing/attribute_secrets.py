"""The columns of a table that an attacker may want to know of somebody whose row is in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Feature, FeatureKind, Floats

UNKNOWN = -1
CODED = frozenset({FeatureKind.BINARY, FeatureKind.CATEGORICAL, FeatureKind.INTEGER})
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A column of the inputs, or the columns of one choice, and the ``levels`` that it may have.

    ``places`` are column numbers, ``levels`` ``[levels, places]`` what stands there.
    """

    name: str
    places: tuple[int, ...]
    levels: Floats

    def codes(self, rows: Floats) -> Codes:
        """Return which level each row ``[n, columns]`` has, ``UNKNOWN`` where it has none."""
        same = (rows[:, None, list(self.places)] == self.levels).all(axis=2)
        return np.where(same.any(axis=1), same.argmax(axis=1), UNKNOWN).astype(np.int64)

    def put(self, rows: NDArray[np.generic], level: int) -> NDArray[np.generic]:
        """Return the rows with one level in all of them."""
        moved = rows.copy()
        moved[:, list(self.places)] = self.levels[level]
        return moved


def secrets(
    known: Floats, features: Sequence[Feature], names: Sequence[str], most_levels: int
) -> tuple[Secret, ...]:
    """Return every column with two to ``most_levels`` levels, one of each one-hot group's columns.

    ``known`` ``[n, columns]`` are rows that anybody may have: levels are what occurs there, and
    the categories that a schema declares. Without a schema (no ``features``) numbers count as
    levels where there are few of them.
    """
    found = [*_choices(features), *_columns(known, features, names)]
    return tuple(it for it in found if 1 < len(it.levels) <= most_levels)


def _choices(features: Sequence[Feature]) -> Iterator[Secret]:
    groups = dict.fromkeys(it.one_hot for it in features if it.one_hot is not None)
    for group in groups:
        places = tuple(at for at, it in enumerate(features) if it.one_hot == group)
        yield Secret(str(group), places, np.eye(len(places)))


def _columns(known: Floats, features: Sequence[Feature], names: Sequence[str]) -> Iterator[Secret]:
    for at in range(known.shape[1]):
        feature = features[at] if at < len(features) else None
        name = feature.name if feature is not None else names[at] if at < len(names) else str(at)
        if feature is not None and (feature.one_hot is not None or feature.kind not in CODED):
            continue
        declared = feature.categories if feature is not None else ()
        column = known[:, at]
        there = np.unique([*declared, *column[np.isfinite(column)]])
        yield Secret(name, (at,), there[:, None])


def chosen(
    found: Sequence[Secret], features: Sequence[Feature], groups: Sequence[str], most: int
) -> tuple[Secret, ...]:
    """Return the ``most`` secrets to ask about: declared groups first, then what nobody can change.

    A group is meant by its column's name, or by that of its one-hot group.
    """
    fixed = {name for it in features if it.immutable for name in (it.name, it.one_hot)}
    order = sorted(found, key=lambda it: (it.name not in groups, it.name not in fixed))
    return tuple(order[:most])
