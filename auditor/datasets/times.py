"""Columns that say when: dates and times, or numbers as the file counts them."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from auditor.datasets.columns import numbers, others
from auditor.datasets.sources import Source
from auditor.domain.tasks import Floats
from auditor.errors import DatasetError

MICROSECONDS = 1e6


def times_of(source: Source, name: str) -> Floats:
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
        found = numbers(source, name)
    missing = np.flatnonzero(~np.isfinite(found))
    if missing.size:
        raise DatasetError(
            f"{source.name}: column {name!r} has no time in {source.row(int(missing[0]))}"
            f"{others(missing.size)}",
            cure="Write a date or time as ISO 8601 (2026-03-01T12:00:00Z), or a number.",
        )
    return found


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
