"""What the rows of a dataset are called, held once for all who keep it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class RowNames(Sequence[str]):
    """One name a row: it reads as a sequence of texts and lies in memory as one array ``[n]``.

    ``np.asarray`` gives that very array, which nobody may write to, so that every check's evidence
    can hold the names of ten million rows without a copy. Equal to any sequence of the same texts.
    """

    held: NDArray[np.str_]

    def __post_init__(self) -> None:
        """Close the array against writing."""
        self.held.setflags(write=False)

    @classmethod
    def numbered(cls, rows: int) -> "RowNames":
        """Return the numbers of rows, from 1."""
        return cls(np.arange(1, rows + 1).astype(f"U{len(str(rows))}"))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 -- numpy's signature
        """Return the array itself, where nothing else is asked for."""
        return np.array(self.held, dtype=dtype, copy=copy)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        """Return the name of a row, or the names of a slice of them."""
        if isinstance(place, slice):
            return tuple(self.held[place].tolist())
        return str(self.held[place])

    def __iter__(self) -> Iterator[str]:
        """Yield the names, so that few of them are texts at a time."""
        for start in range(0, len(self.held), BLOCK):
            yield from self.held[start : start + BLOCK].tolist()

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.held)

    def __eq__(self, other: object) -> bool:
        """Whether another sequence holds the same names in the same order."""
        if isinstance(other, RowNames):
            return np.array_equal(self.held, other.held)
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(str.__eq__, self, other))

    def __hash__(self) -> int:
        """Return the hash of the texts."""
        return hash(tuple(self))
