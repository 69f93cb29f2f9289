"""Columns as text and as numbers."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from auditor.datasets.bounds import RAGGED_RATIO, refuse_bomb
from auditor.datasets.sources import Source
from auditor.domain.columns import Column, appended, joined, parts_of
from auditor.domain.datasets import UNKNOWN
from auditor.domain.row_names import RowNames
from auditor.domain.tasks import Floats
from auditor.errors import DatasetError

EXACT_WHOLE = 2.0**53
MISSING_SPELLINGS = ("", "nan", "NaN")
BLOCK = 1 << 20
WIDE_CHARACTER = np.dtype("U1").itemsize


def texts(column: pl.Series) -> pl.Series:
    """Return a column as text, whole numbers without a decimal point.

    Null where the value is missing: blank, NaN or infinite.
    """
    if column.dtype.is_float():
        return _float_texts(column.cast(pl.Float64) if column.dtype == pl.Float16 else column)
    written = column.cast(pl.String)
    missing = written.str.strip_chars().is_in(MISSING_SPELLINGS)
    return written.set(missing.fill_null(value=True), None)


def spelling(text: str) -> str:
    """Return the one spelling of a label: ``1.0`` and ``1`` are the same label.

    Only whole numbers are spelled anew; blanks around a label do not count.
    """
    stripped = text.strip()
    try:
        number = float(stripped)
    except ValueError:
        return stripped
    whole = number.is_integer() and abs(number) < EXACT_WHOLE
    return str(int(number)) if whole else stripped


def groups_of(source: Source, name: str) -> Column:
    """Return a column's text a row, ``unknown`` where it is missing.

    A name that is no column but joins several (``sex, race``) gives their intersections.
    """
    parts = parts_of(name)
    if name in source.columns or len(parts) == 1:
        return coded_texts(source.column(name), UNKNOWN)
    return joined([coded_texts(source.column(part), UNKNOWN) for part in parts], UNKNOWN)


def coded(column: pl.Series) -> Column:
    """Return texts, none of them missing, as codes of the distinct ones in order."""
    names = column.unique().sort()
    codes = column.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)
    return Column(tuple(names.to_list()), codes)


def coded_texts(column: pl.Series, missing: str, block: int = BLOCK) -> Column:
    """Return a column as codes of its texts, ``missing`` where there is none.

    Texts are made of ``block`` rows at a time: those of ten million rows fill gigabytes.
    """
    blocks = (column.slice(start, block) for start in range(0, len(column), block))
    return appended(*(_coded_block(rows, missing) for rows in blocks))


def row_names(names: pl.Series, block: int = BLOCK) -> RowNames:
    """Return texts, none of them missing, as the names of rows."""
    longest = int(names.str.len_chars().to_numpy().max())
    held = np.empty(len(names), dtype=f"U{longest}")
    for start in range(0, len(names), block):
        held[start : start + block] = names.slice(start, block).to_list()
    return RowNames(held)


def refuse_ragged(source: Source, name: str, texts: int, longest: int) -> None:
    """Raise ``DatasetError`` where one long text would make all of a column far too wide."""
    size = sum(item.file.size for item in source.files)
    refuse_bomb(
        f"{source.name}: column {name!r} (its longest text has {longest:,} characters)",
        size,
        texts * longest * WIDE_CHARACTER,
        ratio=RAGGED_RATIO,
        cure="Shorten the longest texts, or take fewer rows.",
    )


def names_of(source: Source, name: str, what: str) -> pl.Series:
    """Return a column's text a row, none of it missing. Raises ``DatasetError`` otherwise."""
    found = texts(source.column(name))
    missing = np.flatnonzero(found.is_null().to_numpy())
    if missing.size:
        raise DatasetError(
            f"{source.name}: column {name!r} has no {what} in {source.row(int(missing[0]))}"
            f"{others(missing.size)}",
            cure="Fill it in, or leave the row out.",
        )
    return found


def numbers(source: Source, name: str) -> Floats:
    """Return a column as float64, NaN where it is missing. Raises ``DatasetError`` for text."""
    column = source.column(name)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String, pl.Null)):
        raise DatasetError(
            f"{source.name}: column {name!r} holds {column.dtype}, not numbers",
            cure="Store numbers in it, or name it under groups, slices or id.",
        )
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        column = column.set((column == "").fill_null(value=False), None)
    found = column.cast(pl.Float64, strict=False)
    refused = np.flatnonzero((found.is_null() & column.is_not_null()).to_numpy())
    if refused.size:
        raise DatasetError(
            f"{source.name}: column {name!r}, {source.row(int(refused[0]))}: "
            f"{column[int(refused[0])]!r} is not a number{others(refused.size)}",
            cure="Write a number, leave the cell empty where the value is missing, or name the "
            "column under groups, slices or id if it is no input, or as input.text if the model "
            "reads it.",
        )
    values: NDArray[np.float64] = found.fill_null(np.nan).to_numpy().astype(np.float64)
    return values


def others(count: int) -> str:
    """Say how many rows besides the named one have the same fault."""
    return "" if count == 1 else f", and in {count - 1} other row{'s' * (count != 2)}"  # noqa: PLR2004 -- one other


def _float_texts(column: pl.Series) -> pl.Series:
    finite = column.is_finite().fill_null(value=False)
    whole = finite & (column == column.round(0)) & (column.abs() < EXACT_WHOLE)
    as_whole = column.cast(pl.Int64, strict=False).cast(pl.String)
    written = as_whole.zip_with(whole, column.cast(pl.String))
    return written.set(~finite, None)


def _coded_block(column: pl.Series, missing: str) -> Column:
    """Return some rows of a column as codes; of texts each distinct one is looked at once."""
    if column.dtype != pl.String:
        return coded(texts(column).fill_null(missing))
    raw = coded(column.fill_null(missing))
    read = Column.of(texts(pl.Series(raw.names, dtype=pl.String)).fill_null(missing).to_list())
    return Column(read.names, read.codes[raw.codes])
