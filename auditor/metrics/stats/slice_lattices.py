"""Every slice that up to three coded columns make, with its rows and its errors."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.stats.cells import Counts

NO_COLUMN = -1
MOST_VISITS = 2_000_000_000
"""Rows looked at over all sets of columns, about three seconds of one core."""
A_SET = 20_000
"""As how many rows it counts to take up one set."""

Places = NDArray[np.int32]
Conditions = tuple[tuple[int, int], ...]
"""The columns and levels that a slice is made of, all of which its rows have."""


class Count(NamedTuple):
    """How many of some rows are wrong."""

    errors: int
    rows: int

    @classmethod
    def of(cls, wrong: NDArray[np.bool_]) -> "Count":
        """Count the rows of which each is wrong or not."""
        return cls(int(wrong.sum()), len(wrong))

    @property
    def rate(self) -> float:
        """The share that is wrong; zero of no rows."""
        return self.errors / self.rows if self.rows else 0.0

    def without(self, part: "Count") -> "Count":
        """Count the rows beside a part."""
        return Count(self.errors - part.errors, self.rows - part.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Coded rows of which each is wrong or not.

    ``codes`` is ``[columns, n]`` of uint8; column ``j`` has the levels 0 to ``levels[j] - 1``, and
    a code beyond them belongs to no slice (a category too rare to name). ``wrong`` is ``[n]``.
    """

    codes: NDArray[np.uint8]
    levels: tuple[int, ...]
    wrong: NDArray[np.bool_]

    def part(self, chosen: NDArray[np.bool_]) -> "Sample":
        """Return the sample of the rows ``chosen`` ``[n]``."""
        return Sample(self.codes[:, chosen], self.levels, self.wrong[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """The slices that have enough rows: where they are ``[s, depth]``, and what is in them ``[s]``.

    ``columns`` holds ``NO_COLUMN`` where a slice has fewer conditions than ``depth``.
    """

    columns: Places
    levels: Places
    rows: Counts
    errors: Counts

    def conditions(self, index: int) -> Conditions:
        """Return what one slice is made of."""
        pairs = zip(self.columns[index].tolist(), self.levels[index].tolist(), strict=True)
        return tuple((column, level) for column, level in pairs if column != NO_COLUMN)


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """A set of columns with the packed codes of its rows ``[n]``, whether wrong in the lowest."""

    columns: tuple[int, ...]
    sizes: tuple[int, ...]
    packed: NDArray[np.unsignedinteger]

    def joined(self, column: int, codes: NDArray[np.uint8], size: int) -> "_Cell":
        """Return the set with one more column."""
        stride = 2 * math.prod(self.sizes)
        kind = np.min_scalar_type(stride * size)
        packed = np.multiply(codes, kind.type(stride), dtype=kind)
        packed += self.packed
        return _Cell((*self.columns, column), (*self.sizes, size), packed)

    def counts(self) -> Counts:
        """Return ``[*sizes, 2]``: rows that are right and wrong in each combination of codes."""
        flat = np.bincount(self.packed, minlength=2 * math.prod(self.sizes))
        table = flat.reshape(*self.sizes[::-1], 2)
        return table.transpose(*range(len(self.sizes))[::-1], len(self.sizes))


def slice_counts(levels: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """Return ``[depth]``: how many slices of one condition, of two, ... columns of levels make."""
    by_size = [1] + [0] * depth
    for size in levels:
        for at in range(depth, 0, -1):
            by_size[at] += by_size[at - 1] * size
    return tuple(by_size[1:])


def affordable_depth(rows: int, columns: int, depth: int) -> int:
    """Return the greatest depth up to ``depth`` of which all slices can be counted (at least 1)."""
    visits, reached = 0, 1
    for size in range(1, depth + 1):
        visits += (rows + A_SET) * math.comb(columns, size)
        if visits <= MOST_VISITS:
            reached = size
    return min(reached, depth)


def enumerate_slices(sample: Sample, depth: int, least_rows: int) -> Lattice:
    """Count every slice of at most ``depth`` conditions, and keep those of ``least_rows`` rows.

    Each set of columns is one count of packed codes. A set in which no slice has enough rows has
    no larger set with one, so that those are not looked at. Raises ``ValueError`` for a depth or a
    number of rows below one.
    """
    if depth < 1 or least_rows < 1:
        message = f"a search to depth {depth} for {least_rows} rows finds nothing"
        raise ValueError(message)
    start = _Cell((), (), sample.wrong.astype(np.uint8))
    parts = list(_supported(sample, start, depth, least_rows))
    if not parts:
        return Lattice(*np.zeros((2, 0, depth), np.int32), *np.zeros((2, 0), np.int64))
    columns, levels, rows, errors = (np.concatenate(held) for held in zip(*parts, strict=True))
    return Lattice(columns, levels, rows, errors)


def _supported(
    sample: Sample, cell: _Cell, depth: int, least_rows: int
) -> Iterator[tuple[Places, Places, Counts, Counts]]:
    """Yield the slices of every set of columns that begins with ``cell``'s."""
    first = cell.columns[-1] + 1 if cell.columns else 0
    for column in range(first, len(sample.levels)):
        codes = sample.codes[column]
        size = int(codes.max(initial=0)) + 1
        wider = cell.joined(column, codes, size)
        named = tuple(slice(sample.levels[at]) for at in wider.columns)
        table = wider.counts()[named]
        rows = table.sum(axis=-1)
        enough = np.nonzero(rows >= least_rows)
        if not enough[0].size:
            continue
        yield (*_places(wider.columns, enough, depth), rows[enough], table[enough][:, 1])
        if len(wider.columns) < depth:
            yield from _supported(sample, wider, depth, least_rows)


def _places(
    columns: tuple[int, ...], levels: tuple[NDArray[np.intp], ...], depth: int
) -> tuple[Places, Places]:
    shape = (len(levels[0]), depth)
    names, codes = np.full(shape, NO_COLUMN, np.int32), np.zeros(shape, np.int32)
    names[:, : len(columns)] = columns
    codes[:, : len(columns)] = np.stack(levels, axis=1)
    return names, codes
