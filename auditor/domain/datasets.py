"""Datasets with digest and role, their text columns as codes, and their row names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.tasks import Array, Floats

Codes = NDArray[np.int32]
JOINED = ", "
"""What stands between the columns, and between the levels, of an intersection."""


@dataclass(frozen=True, slots=True, eq=False)
class TextColumn(Sequence[str]):
    """One text a row: ``names`` are the distinct ones, sorted, ``codes`` ``[n]`` their places.

    It reads as the sequence of its texts. A million rows of a few groups cost four megabytes, and
    whoever counts groups never touches a text.
    """

    names: tuple[str, ...]
    codes: Codes

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TextColumn":
        """Return the column of some texts."""
        if isinstance(texts, TextColumn):
            return texts
        names = tuple(sorted(set(texts)))
        places = {name: at for at, name in enumerate(names)}
        codes = np.fromiter(map(places.__getitem__, texts), np.int32, len(texts))
        return cls(names, codes)

    def take(self, rows: NDArray[np.generic]) -> "TextColumn":
        """Return the column of some rows (numbers, or a mask), with the names that they have."""
        codes = self.codes[rows]
        there = np.unique(codes)
        places = np.zeros(len(self.names), dtype=np.int32)
        places[there] = np.arange(len(there))
        return TextColumn(tuple(self.names[at] for at in there), places[codes])

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


def find_joined_columns(name: str) -> tuple[str, ...]:
    """Return the columns that a name joins: the one itself, or both of ``sex, race``."""
    return tuple(part.strip() for part in name.split(JOINED.strip()))


def intersect_columns(columns: Sequence[TextColumn], unknown: str) -> TextColumn:
    """Return the intersections of columns: ``Female, Black``, ``unknown`` where any part is."""
    sizes = tuple(len(column.names) for column in columns)
    packed = np.ravel_multi_index(tuple(column.codes for column in columns), sizes)
    there, places = np.unique(packed, return_inverse=True)
    parts = [
        [column.names[code] for column, code in zip(columns, codes, strict=True)]
        for codes in zip(*np.unravel_index(there, sizes), strict=True)
    ]
    named = TextColumn.of([unknown if unknown in part else JOINED.join(part) for part in parts])
    return TextColumn(named.names, named.codes[places])


def concatenate_columns(*columns: TextColumn) -> TextColumn:
    """Return columns one after the other, without touching the text of a row."""
    names = tuple(sorted({name for column in columns for name in column.names}))
    places = {name: at for at, name in enumerate(names)}
    parts = [
        np.array([places[name] for name in column.names], dtype=np.int32)[column.codes]
        for column in columns
        if len(column)
    ]
    return TextColumn(names, np.concatenate([np.empty(0, dtype=np.int32), *parts]))


UNKNOWN = "unknown"
TEXT = "U"
"""The kind of dtype in which texts are held."""
CHANGE_WORDS = (
    "Read evasion.text, which changes words; rules about it apply to models with the tag `text` "
    "(model.tags)."
)
"""The cure where an attack on numbers is asked of a model that reads texts."""
TABLE_AXES = 2
UNLABELLED = -1
"""The label of a row whose truth is not known yet, as in production."""


class DatasetRole(StrEnum):
    """What a dataset is to the model."""

    EVALUATION = "evaluation"
    TRAINING = "training"
    REFERENCE = "reference"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A digested sample with a role.

    ``inputs`` is ``[n, ...]`` as the file holds them, texts as ``[n]`` of dtype str (``None`` in a
    predictions-only audit);
    ``labels`` holds class indices into the task's classes, ``targets`` the numbers that are the
    truth of a regression (in production ``UNLABELLED`` and NaN where none has come yet); ``ids``
    names the rows (the ``id`` column, or the row number); ``groups`` and ``slices`` map a name to
    one text a row, where a missing group is ``unknown``; ``cluster`` says which rows hang together.
    ``scores`` is ``[n, classes]`` (a regression's ``[n, 1]``) and ``decisions`` ``[n]`` holds class
    indices, where the file brings them. ``times`` ``[n]`` is when each row happened, ``as_of`` when
    its features were known: seconds since 1970, or numbers as the file counts them (a year).
    ``copies`` ``[n]`` is the number of the first row that is the same, where copies weigh;
    the clusters then hold them too, and ``declared`` are those that the audit file names.
    """

    role: DatasetRole
    files: tuple[FileDigest, ...]
    inputs: Array | None
    labels: NDArray[np.int64] | None
    ids: Sequence[str]
    features: tuple[str, ...] = ()
    groups: Mapping[str, TextColumn] = field(default_factory=dict)
    slices: Mapping[str, TextColumn] = field(default_factory=dict)
    cluster: TextColumn | None = None
    scores: Floats | None = None
    targets: Floats | None = None
    decisions: NDArray[np.int64] | None = None
    times: Floats | None = None
    as_of: Floats | None = None
    copies: NDArray[np.int64] | None = None
    declared: TextColumn | None = None

    @property
    def texts(self) -> bool:
        """Whether the inputs are texts."""
        return self.inputs is not None and self.inputs.dtype.kind == TEXT

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.ids)

    @property
    def tabular(self) -> bool:
        """Whether the inputs are columns of numbers."""
        return self.inputs is not None and self.inputs.ndim == TABLE_AXES and not self.texts

    @property
    def answered(self) -> bool:
        """Whether the file says what a model answered."""
        return self.scores is not None or self.decisions is not None

    @property
    def clustered(self) -> bool:
        """Whether some rows share a cluster, so that they are not independent."""
        return self.cluster is not None and len(self.cluster.names) < self.rows

    @property
    def units(self) -> int:
        """How many parts are independent of each other: the clusters, or else the rows."""
        return self.rows if self.cluster is None else len(self.cluster.names)

    @property
    def entities(self) -> TextColumn | None:
        """The clusters that the audit file names: persons, devices or days."""
        return self.cluster if self.copies is None else self.declared

    @property
    def distinct(self) -> int:
        """How many rows there are, each counted once where copies weigh."""
        return self.rows if self.copies is None else len(np.unique(self.copies))

    @property
    def digest(self) -> str:
        """The one digest of the dataset's files."""
        return digest_files(self.files)


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
