"""A raw dataset: the content of a data file or picture folder, before it is interpreted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from auditor.domain.name_suggestions import suggest_names
from auditor.domain.requests import InputFile
from auditor.domain.tasks import Array
from auditor.errors import DatasetError


class MissingColumnError(DatasetError):
    """A data file has no column of a name; ``column`` is that name."""

    def __init__(self, path: str, column: str, known: Iterable[str]) -> None:
        super().__init__(
            f"{path} has no column {column!r}; {describe_similar_columns(column, known)}",
            cure="Name one that is there, or fix the data file.",
        )
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDataset:
    """Named columns of one value a row and, where the file holds arrays or pictures, one input.

    ``name`` is the path as written, for messages. ``labels``, ``id`` and ``scores`` name the
    columns that hold those, ``spare`` the columns that the audit file does not mention, in the
    order of the file. ``pictures`` is true where inputs are 8-bit pixels.
    """

    name: str
    rows: int
    files: tuple[InputFile, ...]
    columns: Mapping[str, pl.Series]
    inputs: Array | None = None
    input_name: str = ""
    labels: str | None = None
    id: str | None = None
    scores: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    below_header: bool = False
    pictures: bool = False

    def column(self, name: str) -> pl.Series:
        """Return a column. Raises ``DatasetError`` that names the columns most like it."""
        if name not in self.columns:
            raise MissingColumnError(self.name, name, self.columns)
        column = self.columns[name]
        if not is_single_valued(column):
            raise DatasetError(
                f"{self.name}: column {name!r} holds {column.dtype}, not one number or text a row",
                cure="Store single values in it, or leave the column out.",
            )
        return column

    def row(self, index: int) -> str:
        """Name a row in messages, counted from 1."""
        return f"row {index + 1}" + (" (counted from below the header)" * self.below_header)


def describe_similar_columns(name: str, known: Iterable[str]) -> str:
    """Say which columns are most like a name."""
    return suggest_names(name, list(known), repr)


def is_single_valued(column: pl.Series) -> bool:
    """Whether a column holds one number, text or date a row."""
    return not (column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object))
