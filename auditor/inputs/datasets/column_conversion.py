"""Conversion of dataset columns to text, numbers, codes and times."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from auditor.domain.datasets import (
    UNKNOWN,
    RowNames,
    TextColumn,
    concatenate_columns,
    find_joined_columns,
    intersect_columns,
)
from auditor.domain.tasks import Array, Floats
from auditor.errors import DatasetError
from auditor.inputs.datasets.memory_limits import RAGGED_RATIO, refuse_decompression_bomb
from auditor.inputs.datasets.raw_dataset import RawDataset

EXACT_WHOLE = 2.0**53
MISSING_SPELLINGS = ("", "nan", "NaN")
BLOCK = 1 << 18
WIDE_CHARACTER = np.dtype("U1").itemsize


def to_texts(column: pl.Series) -> pl.Series:
    """Return a column as text, whole numbers without a decimal point.

    Null where the value is missing: blank, NaN or infinite.
    """
    if column.dtype.is_float():
        texts_column = column.cast(pl.Float64) if column.dtype == pl.Float16 else column
        finite = texts_column.is_finite().fill_null(value=False)
        whole = (
            finite & (texts_column == texts_column.round(0)) & (texts_column.abs() < EXACT_WHOLE)
        )
        as_whole = texts_column.cast(pl.Int64, strict=False).cast(pl.String)
        texts_written = as_whole.zip_with(whole, texts_column.cast(pl.String))
        return texts_written.set(~finite, None)
    written = column.cast(pl.String)
    missing = written.str.strip_chars().is_in(MISSING_SPELLINGS)
    return written.set(missing.fill_null(value=True), None)


def normalize_label(text: str) -> str:
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


def to_groups(source: RawDataset, name: str) -> TextColumn:
    """Return a column's text a row, ``unknown`` where it is missing.

    A name that is no column but joins several (``sex, race``) gives their intersections.
    """
    parts = find_joined_columns(name)
    if name in source.columns or len(parts) == 1:
        return encode_column(source.column(name), UNKNOWN)
    return intersect_columns(
        [encode_column(source.column(part), UNKNOWN) for part in parts], UNKNOWN
    )


def encode_texts(column: pl.Series) -> TextColumn:
    """Return texts, none of them missing, as codes of the distinct ones in order."""
    names = column.unique().sort()
    codes = column.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)
    return TextColumn(tuple(names.to_list()), codes)


def encode_column(column: pl.Series, missing: str, block: int = BLOCK) -> TextColumn:
    """Return a column as codes of its texts, ``missing`` where there is none.

    Texts are made of ``block`` rows at a time: those of ten million rows fill gigabytes.
    """
    blocks = (column.slice(start, block) for start in range(0, len(column), block))
    return concatenate_columns(*(_coded_block(rows, missing) for rows in blocks))


def to_row_names(names: pl.Series, block: int = BLOCK) -> RowNames:
    """Return texts, none of them missing, as the names of rows."""
    longest = int(names.str.len_chars().to_numpy().max())
    held = np.empty(len(names), dtype=f"U{longest}")
    for start in range(0, len(names), block):
        held[start : start + block] = names.slice(start, block).to_list()
    return RowNames(held)


def refuse_ragged_texts(source: RawDataset, name: str, texts: int, longest: int) -> None:
    """Raise ``DatasetError`` where one long text would make all of a column far too wide."""
    size = sum(item.file.size for item in source.files)
    refuse_decompression_bomb(
        f"{source.name}: column {name!r} (its longest text has {longest:,} characters)",
        size,
        texts * longest * WIDE_CHARACTER,
        ratio=RAGGED_RATIO,
        cure="Shorten the longest texts, or take fewer rows.",
    )


def to_names(source: RawDataset, name: str, what: str) -> pl.Series:
    """Return a column's text a row, none of it missing. Raises ``DatasetError`` otherwise."""
    found = to_texts(source.column(name))
    missing = np.flatnonzero(found.is_null().to_numpy())
    if missing.size:
        raise DatasetError(
            f"{source.name}: column {name!r} has no {what} in {source.row(int(missing[0]))}"
            f"{describe_other_rows(missing.size)}",
            cure="Fill it in, or leave the row out.",
        )
    return found


def to_numbers(source: RawDataset, name: str) -> Floats:
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
    if len(column) > 1 and refused.size == column.len() - column.null_count():
        raise DatasetError(
            f"{source.name}: column {name!r} holds texts, as {column[int(refused[0])]!r} in "
            f"{source.row(int(refused[0]))}, and a model is given numbers",
            cure="Name it under groups, slices or id if it is not an input, or as input.text if "
            "the model reads it. Else encode it as numbers in the data and export what follows the "
            "encoder, or audit recorded predictions (`auditor init --data predictions.csv`).",
        )
    if refused.size:
        raise DatasetError(
            f"{source.name}: column {name!r}, {source.row(int(refused[0]))}: "
            f"{column[int(refused[0])]!r} is not a number{describe_other_rows(refused.size)}",
            cure="Write a number, leave the cell empty where the value is missing, or name the "
            "column under groups, slices or id if it is not an input, or as input.text if the "
            "model reads it.",
        )
    values: NDArray[np.float64] = found.fill_null(np.nan).to_numpy().astype(np.float64)
    return values


def describe_other_rows(count: int) -> str:
    """Say how many rows besides the named one have the same fault."""
    return "" if count == 1 else f", and in {count - 1} other row{'s' * (count != 2)}"  # noqa: PLR2004 -- one other


def _coded_block(column: pl.Series, missing: str) -> TextColumn:
    """Return some rows of a column as codes; of texts each distinct one is looked at once."""
    if column.dtype != pl.String:
        return encode_texts(to_texts(column).fill_null(missing))
    raw = encode_texts(column.fill_null(missing))
    read = TextColumn.of(
        to_texts(pl.Series(raw.names, dtype=pl.String)).fill_null(missing).to_list()
    )
    return TextColumn(read.names, read.codes[raw.codes])


MICROSECONDS = 1e6


def read_times(source: RawDataset, name: str) -> Floats:
    """Return when each row happened ``[n]``.

    Dates and times, also as ISO 8601 text, become seconds since 1970 (UTC where no zone is said);
    numbers stay as they are. Raises ``DatasetError`` for a missing or unreadable one.
    """
    column = source.column(name)
    if column.dtype == pl.String:
        column = _parsed(column)
    if column.dtype.is_temporal() and column.dtype not in {pl.Time, pl.Duration}:
        stamps = column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / MICROSECONDS
        found: Floats = stamps.fill_null(np.nan).to_numpy().astype(np.float64)
    else:
        found = to_numbers(source, name)
    missing = np.flatnonzero(~np.isfinite(found))
    if missing.size:
        raise DatasetError(
            f"{source.name}: column {name!r} has no time in {source.row(int(missing[0]))}"
            f"{describe_other_rows(missing.size)}",
            cure="Write a date or time as ISO 8601 (2026-03-01T12:00:00Z), or a number.",
        )
    return found


def holds_times(column: pl.Series) -> bool:
    """Whether every value of a column is a date or a time, as ``read_times`` reads them."""
    if column.dtype == pl.String:
        column = _parsed(column)
    dated = column.dtype.is_temporal() and column.dtype not in {pl.Time, pl.Duration}
    return dated and len(column) > 0 and column.null_count() == 0


def _parsed(column: pl.Series) -> pl.Series:
    """Return a column of texts as times, where they are no numbers."""
    texts = column.str.strip_chars()
    if texts.cast(pl.Float64, strict=False).is_not_null().any():
        return column
    read = {text: _moment(text) for text in texts.drop_nulls().unique().to_list()}
    return texts.replace_strict(read, default=None, return_dtype=pl.Datetime("us", "UTC"))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


MOST_CHARACTERS = 20_000
"""Of one text: all texts of a dataset are held as wide as the longest."""
NOTHING = "\0"


def read_texts(source: RawDataset, name: str) -> Array:
    """Return a column as ``[n]`` texts of dtype str, letter for letter as the file has them.

    An empty text is a text. Raises ``DatasetError`` for a column of numbers, a missing text, one
    of more than ``MOST_CHARACTERS`` characters, and one with a NUL, where others would cut it off.
    """
    column = source.column(name)
    if str(column.dtype) not in {"String", "Categorical", "Enum"}:
        raise DatasetError(
            f"{source.name}: column {name!r} holds {column.dtype}, not text",
            cure="Name the column of texts as input.text, or remove input.text.",
        )
    found = column.cast(str).to_list()
    for problem, cure, bad in (
        ("has no text", "Fill it in, or leave the row out.", [text is None for text in found]),
        ("holds a NUL character", "Remove it.", [NOTHING in (text or "") for text in found]),
        (
            f"holds more than {MOST_CHARACTERS:,} characters",
            "Cut the texts as the deployed system would.",
            [len(text or "") > MOST_CHARACTERS for text in found],
        ),
    ):
        rows = np.flatnonzero(bad)
        if rows.size:
            raise DatasetError(
                f"{source.name}: column {name!r}, {source.row(int(rows[0]))}: {problem}"
                f"{describe_other_rows(rows.size)}",
                cure=cure,
            )
    refuse_ragged_texts(source, name, len(found), max(map(len, found), default=0))
    return np.array(found, dtype=np.str_)
