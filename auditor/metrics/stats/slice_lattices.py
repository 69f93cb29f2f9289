"""Coding of columns into levels, and the lattice of slices from up to three of them."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import UNKNOWN, Dataset, TextColumn
from auditor.domain.tasks import Floats
from auditor.metrics.stats.group_gaps import Counts

NO_COLUMN = -1
MOST_VISITS = 2_000_000_000
"""Rows looked at over all sets of columns, about three seconds of one core."""
A_SET = 20_000
"""As how many rows it counts to take up one set."""

Places = NDArray[np.int32]
Conditions = tuple[tuple[int, int], ...]
"""The columns and levels that a slice is made of, all of which its rows have."""


class ErrorCount(NamedTuple):
    """How many of some rows are wrong."""

    errors: int
    rows: int

    @classmethod
    def of(cls, wrong: NDArray[np.bool_]) -> "ErrorCount":
        """Count the rows of which each is wrong or not."""
        return cls(int(wrong.sum()), len(wrong))

    @property
    def rate(self) -> float:
        """The share that is wrong; zero of no rows."""
        return self.errors / self.rows if self.rows else 0.0

    def without(self, part: "ErrorCount") -> "ErrorCount":
        """Count the rows beside a part."""
        return ErrorCount(self.errors - part.errors, self.rows - part.rows)


@dataclass(frozen=True, slots=True, eq=False)
class CodedSample:
    """Coded rows of which each is wrong or not.

    ``codes`` is ``[columns, n]`` of uint8; column ``j`` has the levels 0 to ``levels[j] - 1``, and
    a code beyond them belongs to no slice (a category too rare to name). ``wrong`` is ``[n]``.
    """

    codes: NDArray[np.uint8]
    levels: tuple[int, ...]
    wrong: NDArray[np.bool_]

    def part(self, chosen: NDArray[np.bool_]) -> "CodedSample":
        """Return the sample of the rows ``chosen`` ``[n]``."""
        return CodedSample(self.codes[:, chosen], self.levels, self.wrong[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class SliceLattice:
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
class _ColumnCombination:
    """A set of columns with the packed codes of its rows ``[n]``, whether wrong in the lowest."""

    columns: tuple[int, ...]
    sizes: tuple[int, ...]
    packed: NDArray[np.unsignedinteger]

    def joined(self, column: int, codes: NDArray[np.uint8], size: int) -> "_ColumnCombination":
        """Return the set with one more column."""
        stride = 2 * math.prod(self.sizes)
        kind = np.min_scalar_type(stride * size)
        packed = np.multiply(codes, kind.type(stride), dtype=kind)
        packed += self.packed
        return _ColumnCombination((*self.columns, column), (*self.sizes, size), packed)

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


def enumerate_slices(sample: CodedSample, depth: int, least_rows: int) -> SliceLattice:
    """Count every slice of at most ``depth`` conditions, and keep those of ``least_rows`` rows.

    Each set of columns is one count of packed codes. A set in which no slice has enough rows has
    no larger set with one, so that those are not looked at. Raises ``ValueError`` for a depth or a
    number of rows below one.
    """
    if depth < 1 or least_rows < 1:
        message = f"a search to depth {depth} for {least_rows} rows finds nothing"
        raise ValueError(message)
    start = _ColumnCombination((), (), sample.wrong.astype(np.uint8))
    parts = list(_supported(sample, start, depth, least_rows))
    if not parts:
        return SliceLattice(*np.zeros((2, 0, depth), np.int32), *np.zeros((2, 0), np.int64))
    columns, levels, rows, errors = (np.concatenate(held) for held in zip(*parts, strict=True))
    return SliceLattice(columns, levels, rows, errors)


def _supported(
    sample: CodedSample, cell: _ColumnCombination, depth: int, least_rows: int
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
        shape = (len(enough[0]), depth)
        names, places_codes = np.full(shape, NO_COLUMN, np.int32), np.zeros(shape, np.int32)
        names[:, : len(wider.columns)] = wider.columns
        places_codes[:, : len(wider.columns)] = np.stack(enough, axis=1)
        yield (*(names, places_codes), rows[enough], table[enough][:, 1])
        if len(wider.columns) < depth:
            yield from _supported(sample, wider, depth, least_rows)


MOST_LEVELS = 255
DIGITS = 6
Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class CodedColumn:
    """A column ``[n]`` of codes; a code beyond ``names`` is of a row whose level has no name."""

    codes: Codes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCoding:
    """How to code: into how many bins, or most frequent categories of the rows ``seen`` ``[n]``.

    Columns named in ``fixed`` are categories even where their values are many numbers. Raises
    ``ValueError`` for more levels than a code can tell apart.
    """

    seen: NDArray[np.bool_]
    bins: int
    categories: int
    fixed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what no code can hold."""
        if (
            not 1
            <= min(self.bins, self.categories)
            <= max(self.bins, self.categories)
            < MOST_LEVELS
        ):
            message = f"bins and categories are from 1 to {MOST_LEVELS - 1}"
            raise ValueError(message)


def code_columns(
    dataset: Dataset, coding: ColumnCoding, *, inputs: bool
) -> Mapping[str, CodedColumn]:
    """Code groups, slice columns and, with ``inputs``, the columns of a table that a model reads.

    A name stands for one column, and a column that says the same of all rows is left out.
    """
    texts = {**dataset.slices, **dataset.groups}
    found = {name: code_texts(members, coding) for name, members in texts.items()}
    values = dataset.inputs
    if inputs and values is not None and dataset.tabular:
        for place, name in enumerate(dataset.features):
            if name not in texts:
                column = values[:, place].astype(np.float64)
                found[name] = code_values(column, coding, category=name in coding.fixed)
    return {name: column for name, column in found.items() if np.ptp(column.codes)}


def code_texts(texts: Sequence[str], coding: ColumnCoding) -> CodedColumn:
    """Code a column of texts ``[n]``; if all that are known are numbers, by their bins.

    Numbers of no more values than there are bins are categories.
    """
    column = TextColumn.of(texts)
    names, place = column.names, column.codes
    values = np.array([parse_number(name) for name in names])
    known = values[np.isfinite(values)]
    if known.size == len(set(names) - {UNKNOWN}) and np.unique(known).size > coding.bins:
        return code_numbers(values[place], coding)
    return _most_frequent(place, names, coding)


def code_values(values: Floats, coding: ColumnCoding, *, category: bool) -> CodedColumn:
    """Code a column of numbers ``[n]``, not a number where unknown.

    By bins, or by value if it is a ``category`` or has no more values than there are bins.
    """
    distinct, place = np.unique(values, return_inverse=True)  # all that are unknown are one
    finite = np.isfinite(distinct)
    if not category and int(finite.sum()) > coding.bins:
        return code_numbers(values, coding)
    names = tuple(
        _written(value) if known else UNKNOWN for value, known in zip(distinct, finite, strict=True)
    )
    return _most_frequent(place, names, coding)


def code_numbers(values: Floats, coding: ColumnCoding) -> CodedColumn:
    """Code numbers ``[n]`` by bins that hold about as many of the rows seen each.

    Edges are values that occur, written with as few digits as keep them apart; a bin holds its
    lower edge. Many equal values make fewer bins. Unknown numbers are a level of their own.
    """
    known = np.isfinite(values)
    edges = _edges(values[known & coding.seen], coding.bins)
    codes = np.searchsorted(edges, values, side="right").astype(np.uint8)
    codes[~known] = edges.size + 1
    written = [_written(edge) for edge in edges]
    names = [
        f"below {written[0]}" if edges.size else "any number",
        *(f"{low} to below {high}" for low, high in itertools.pairwise(written)),
        *(f"{last} or more" for last in written[-1:]),
    ]
    return CodedColumn(codes, (*names, *([] if known.all() else [UNKNOWN])))


def _most_frequent(
    place: NDArray[np.integer], names: tuple[str, ...], coding: ColumnCoding
) -> CodedColumn:
    counts = np.bincount(place[coding.seen], minlength=len(names))
    kept = np.sort(np.argsort(-counts, kind="stable")[: coding.categories])
    codes = np.full(len(names), kept.size, dtype=np.uint8)
    codes[kept] = np.arange(kept.size)
    return CodedColumn(codes[place], tuple(names[at] for at in kept))


def _edges(values: Floats, bins: int) -> Floats:
    """Return the inner edges, above the least value."""
    if not values.size:
        return values
    inner = np.arange(1, bins) * values.size // bins
    exact = np.unique(np.partition(values, inner)[inner])
    exact = exact[exact > values.min()]
    rounded = np.array([float(f"{edge:.{DIGITS}g}") for edge in exact])
    apart = np.unique(rounded).size == exact.size and np.all(rounded > values.min())
    return rounded if apart else exact


def _written(value: float) -> str:
    tries = (f"{value:.{DIGITS}g}", f"{value:.0f}")
    return next((text for text in tries if float(text) == value), repr(float(value)))


def parse_number(text: str) -> float:
    """Return the number that a text is, not a number where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
