"""Columns of texts, held as codes of their distinct values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]
JOINED = ", "
"""What stands between the columns, and between the levels, of an intersection."""


@dataclass(frozen=True, slots=True, eq=False)
class Column(Sequence[str]):
    """One text a row: ``names`` are the distinct ones, sorted, ``codes`` ``[n]`` their places.

    It reads as the sequence of its texts. A million rows of a few groups cost four megabytes, and
    whoever counts groups never touches a text.
    """

    names: tuple[str, ...]
    codes: Codes

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Column":
        """Return the column of some texts."""
        if isinstance(texts, Column):
            return texts
        names = tuple(sorted(set(texts)))
        places = {name: at for at, name in enumerate(names)}
        codes = np.fromiter(map(places.__getitem__, texts), np.int32, len(texts))
        return cls(names, codes)

    def take(self, rows: NDArray[np.generic]) -> "Column":
        """Return the column of some rows (numbers, or a mask), with the names that they have."""
        codes = self.codes[rows]
        there = np.unique(codes)
        places = np.zeros(len(self.names), dtype=np.int32)
        places[there] = np.arange(len(there))
        return Column(tuple(self.names[at] for at in there), places[codes])

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        """Return the text of a row, or the texts of a slice of them."""
        if isinstance(place, slice):
            return tuple(self.names[code] for code in self.codes[place])
        return self.names[int(self.codes[place])]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)


def parts_of(name: str) -> tuple[str, ...]:
    """Return the columns that a name joins: the one itself, or both of ``sex, race``."""
    return tuple(part.strip() for part in name.split(JOINED.strip()))


def joined(columns: Sequence[Column], unknown: str) -> Column:
    """Return the intersections of columns: ``Female, Black``, ``unknown`` where any part is."""
    sizes = tuple(len(column.names) for column in columns)
    packed = np.ravel_multi_index(tuple(column.codes for column in columns), sizes)
    there, places = np.unique(packed, return_inverse=True)
    parts = [
        [column.names[code] for column, code in zip(columns, codes, strict=True)]
        for codes in zip(*np.unravel_index(there, sizes), strict=True)
    ]
    named = Column.of([unknown if unknown in part else JOINED.join(part) for part in parts])
    return Column(named.names, named.codes[places])


def appended(*columns: Column) -> Column:
    """Return columns one after the other, without touching the text of a row."""
    names = tuple(sorted({name for column in columns for name in column.names}))
    places = {name: at for at, name in enumerate(names)}
    parts = [
        np.array([places[name] for name in column.names], dtype=np.int32)[column.codes]
        for column in columns
        if len(column)
    ]
    return Column(names, np.concatenate([np.empty(0, dtype=np.int32), *parts]))
