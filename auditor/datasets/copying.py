"""Rows of a sample that are one row again and again."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.domain.columns import Column
from auditor.domain.datasets import TABLE_AXES, TEXT, Dataset, Role
from auditor.domain.lookalikes import folded_name
from auditor.domain.tasks import Array, Floats
from auditor.surveying.materials import Rows, codes, first_of_each

LEAST_EFFECTIVE = 0.98
"""Copies weigh below this share of the rows: ``n`` rows in groups of ``m`` equal ones tell as much
as ``n² / Σ m²`` rows (Kish 1965, 8.2), so that above it intervals are 1 % too narrow at most. One
row in a hundred that stands twice comes to it."""


ALIKE = 1e-4
"""Numbers are alike that lie no further apart than this share of their size, or of the size that is
usual in their column (of a picture: in all of them)."""
LEAST_UNALIKE = 0.5
"""Rows that are alike and not equal weigh where they take more than half of what the rows are worth
without them. Few rows that stand in for many take nearly all; of a table with one column of
measured numbers, up to a fifth in 10,000 rows is alike by chance. Intervals are too narrow by a
factor of 1.4 at most."""
UNIT = 1.0
"""The usual size of a column's numbers is at least this, where the table has numbers as large: in a
column that is all but zero, noise is as large as the largest number."""
ROUNDS = 4
FAR = 1e9
"""A place beyond those of all numbers in double precision."""


def with_copies(dataset: Dataset) -> Dataset:
    """Return evaluation data that knows which of its rows are copies, where they weigh.

    Copies are rows of one label and of equal inputs, as a model in single precision takes them, or
    of inputs that are alike, where most rows are; texts but for case, blanks and what is not seen.
    Of a regression the label does not count. They share a cluster, joined with the declared ones.
    """
    if dataset.role is not Role.EVALUATION or dataset.inputs is None or not dataset.inputs.size:
        return dataset
    labels = np.zeros(dataset.rows, np.int64) if dataset.labels is None else dataset.labels
    first = _first_equal(dataset.inputs, labels)
    if dataset.inputs.dtype.kind != TEXT:
        near = _first_near(dataset.inputs, labels)
        first = near if _worth(near) < LEAST_UNALIKE * _worth(first) else first
    if _worth(first) >= LEAST_EFFECTIVE * dataset.rows:
        return dataset
    declared = dataset.cluster
    return replace(dataset, copies=first, cluster=_joined(first, declared), declared=declared)


def _worth(first: Rows) -> float:
    """Return how many rows would tell as much if no two of them were copies."""
    sizes = np.unique(first, return_counts=True)[1].astype(np.float64)
    return first.size**2 / float(np.square(sizes).sum())


def _first_equal(inputs: Array, labels: NDArray[np.int64]) -> Rows:
    """Return ``[n]``: the number of the first row that equals each, and has its label."""
    taken = inputs.astype(np.float32) if inputs.dtype.kind == "f" else inputs
    if inputs.dtype.kind == TEXT:
        taken = np.array([" ".join(folded_name(str(text)).split()) for text in inputs])
    both = np.stack((codes(taken)[0], labels))
    return first_of_each(np.unique(both, axis=1, return_inverse=True)[1].astype(np.int64).ravel())


def _first_near(inputs: Array, labels: NDArray[np.int64]) -> Rows:
    """Return ``[n]``: the number of the first row that is alike to each, and has its label.

    Rows are parted at the gaps between numbers of one column after another, again and again. A
    group that is wider than what is alike even so, as in dense data, is cut: in no column do two
    rows of a group lie further apart.
    """
    columns = inputs.reshape(len(inputs), -1).T
    sizes = _sizes(columns, alone=inputs.ndim == TABLE_AXES)
    first = np.arange(len(inputs), dtype=np.int64)
    groups = _Groups.of(labels)
    for cut in (*[False] * ROUNDS, True):
        for column, size in zip(columns, sizes, strict=True):
            if not groups.rows.size:
                return first
            groups = groups.parted(_places(column[groups.rows], size), cut=cut)
    begin = np.flatnonzero(groups.fresh)
    if begin.size:
        lowest = np.minimum.reduceat(groups.rows, begin)
        first[groups.rows] = lowest[np.cumsum(groups.fresh) - 1]
    return first


def _sizes(columns: Array, *, alone: bool) -> Floats:
    """Return the usual size of each column's numbers, ``alone``, or of all, as powers of two."""
    known = [_magnitudes(column) for column in columns]
    usual = np.array([mean for mean, _ in known])
    most = max(largest for _, largest in known)
    counted = np.maximum(usual, min(UNIT, most)) if alone else np.full(usual.shape, usual.max())
    return np.ldexp(1.0, np.frexp(np.where(counted > 0, counted, UNIT))[1])


def _magnitudes(column: Array) -> tuple[float, float]:
    """Return the mean and the largest magnitude of a column's numbers."""
    numbers = np.abs(_as_taken(column))
    numbers = numbers[np.isfinite(numbers)]
    return float(numbers.sum()) / max(1, numbers.size), float(numbers.max(initial=0.0))


def _places(column: Array, size: float) -> Floats:
    """Return where numbers lie, in steps of ``ALIKE``: of the usual size, or of a larger number's.

    Beyond the usual size steps grow with each power of two, so that a few huge numbers do not make
    all others alike. What is no number (missing, infinite) has a place of its own.
    """
    numbers = _as_taken(column) / size
    share, power = np.frexp(np.abs(numbers))
    grown = np.where(power > 0, power + 2 * share - 1, np.abs(numbers))
    placed: Floats = np.copysign(grown, numbers) / ALIKE
    return np.nan_to_num(placed, nan=2 * FAR, posinf=FAR, neginf=-FAR)


def _as_taken(column: Array) -> Floats:
    """Return numbers as nearly all models take them: what differs beyond that is equal to them."""
    taken = column.astype(np.float32) if column.dtype.kind == "f" else column
    return taken.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Rows of groups of two and more, group by group; ``fresh`` where a group begins."""

    rows: Rows
    fresh: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: NDArray[np.int64]) -> "_Groups":
        """Group rows by their labels."""
        rows = np.argsort(labels, kind="stable").astype(np.int64)
        return cls(rows, _begins(labels[rows])).without_single_rows()

    def parted(self, places: Floats, *, cut: bool) -> "_Groups":
        """Part each group at gaps wider than 1, or cut it into parts that are no wider than 1."""
        begin = np.flatnonzero(self.fresh)
        low, high = np.minimum.reduceat(places, begin), np.maximum.reduceat(places, begin)
        if (high - low <= 1).all():
            return self
        group = np.cumsum(self.fresh) - 1
        order = np.lexsort((places, group))
        placed = places[order]
        fresh = self.fresh.copy()
        if cut:
            fresh |= _begins(np.maximum(np.ceil(placed - low[group]), 1.0))
        else:
            fresh[1:] |= np.diff(placed) > 1
        return _Groups(self.rows[order], fresh).without_single_rows()

    def without_single_rows(self) -> "_Groups":
        """Leave out groups of one row: nothing is alike to it."""
        kept = ~(self.fresh & np.append(self.fresh[1:], True))
        return _Groups(self.rows[kept], self.fresh[kept])


def _begins(sorted_values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where another value begins."""
    return np.append(True, sorted_values[1:] != sorted_values[:-1])


def _joined(first: NDArray[np.int64], declared: Column | None) -> Column:
    """Return clusters in which copies share one, and so do rows of one declared cluster."""
    place = np.unique(first, return_inverse=True)[1].astype(np.int64)
    if declared is not None:
        count = int(place.max()) + 1
        links = coo_array(
            (np.ones(place.size, np.int8), (place, declared.codes + count)),
            shape=(count + len(declared.names),) * 2,
        )
        place = connected_components(links, directed=False)[1].astype(np.int64)[place]
    return Column.of([f"copies of row {row}" for row in first_of_each(place)])
