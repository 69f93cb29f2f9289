"""Columns as codes of a few named levels: categories by name, numbers by quantile bins."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.columns import Column
from auditor.domain.datasets import UNKNOWN, Dataset
from auditor.domain.tasks import Floats

MOST_LEVELS = 255
DIGITS = 6
Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column ``[n]`` of codes; a code beyond ``names`` is of a row whose level has no name."""

    codes: Codes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
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


def code_columns(dataset: Dataset, coding: Coding, *, inputs: bool) -> Mapping[str, Coded]:
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


def code_texts(texts: Sequence[str], coding: Coding) -> Coded:
    """Code a column of texts ``[n]``; if all that are known are numbers, by their bins.

    Numbers of no more values than there are bins are categories.
    """
    column = Column.of(texts)
    names, place = column.names, column.codes
    values = np.array([as_number(name) for name in names])
    known = values[np.isfinite(values)]
    if known.size == len(set(names) - {UNKNOWN}) and np.unique(known).size > coding.bins:
        return code_numbers(values[place], coding)
    return _most_frequent(place, names, coding)


def code_values(values: Floats, coding: Coding, *, category: bool) -> Coded:
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


def code_numbers(values: Floats, coding: Coding) -> Coded:
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
    return Coded(codes, (*names, *([] if known.all() else [UNKNOWN])))


def _most_frequent(place: NDArray[np.integer], names: tuple[str, ...], coding: Coding) -> Coded:
    counts = np.bincount(place[coding.seen], minlength=len(names))
    kept = np.sort(np.argsort(-counts, kind="stable")[: coding.categories])
    codes = np.full(len(names), kept.size, dtype=np.uint8)
    codes[kept] = np.arange(kept.size)
    return Coded(codes[place], tuple(names[at] for at in kept))


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


def as_number(text: str) -> float:
    """Return the number that a text is, not a number where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
