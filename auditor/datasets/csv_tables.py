"""CSV files as tables of columns."""

import csv
import io
from collections.abc import Iterator

import polars as pl

from auditor.datasets.bounds import COLUMN_BYTES, refuse_bomb
from auditor.domain.lookalikes import folded_name
from auditor.errors import DatasetError

CURE = "Take fewer columns, or store numbers as .npy."


def read_csv(raw: bytes, name: str) -> pl.DataFrame:
    """Read comma-separated text with one header line; every cell stays the text it is.

    Rows that are wholly blank are dropped. Raises ``DatasetError`` for other encodings, for a
    header that is malformed or has unnamed or repeated columns, and for rows of another length.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as mistake:
        raise DatasetError(
            f"{name} is not UTF-8 text (byte {mistake.start})", cure="Save it as UTF-8."
        ) from None
    header, body = _split(text, name)
    refuse_bomb(name, len(raw), len(header) * COLUMN_BYTES, cure=CURE)
    _refuse_header(header, name)
    # One parser reads the names. The other would leave quotes in some, and take rows into others.
    plain = ",".join(f"c{position}" for position in range(len(header)))
    try:
        table = pl.read_csv(io.BytesIO(f"{plain}\n{body}".encode()), infer_schema=False)
    except pl.exceptions.PolarsError as mistake:
        _refuse_ragged(text, name)
        reason = str(mistake).splitlines()[0]
        raise DatasetError(
            f"{name} is not CSV ({reason})", cure="Save it again, with commas and straight quotes."
        ) from None
    if table[:, -1].null_count():
        # The parser fills short rows with nulls; only they end in one, so most files skip this.
        _refuse_ragged(text, name)
    table.columns = header
    return table.filter(~pl.all_horizontal(pl.all().is_null()))


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in lines:
            yield lines.line_num, row
    except csv.Error as mistake:
        raise DatasetError(
            f"{name}, line {lines.line_num}: {mistake}", cure="Mend the CSV at that line."
        ) from None


def _split(text: str, name: str) -> tuple[list[str], str]:
    """Return the names in the header, and all that comes after it."""
    taken: list[str] = []
    lines = io.StringIO(text, newline="")

    def each() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    try:
        header = next(csv.reader(each(), strict=True), [])
    except csv.Error as mistake:
        raise DatasetError(
            f"{name}: the header cannot be read ({mistake})",
            cure="Close every quote, and write a quote within quotes twice.",
        ) from None
    if taken and taken[-1].endswith("\r"):
        raise DatasetError(
            f"{name}: its lines end in a carriage return alone", cure=r"End them in \n or \r\n."
        )
    return header, text[sum(map(len, taken)) :]


def _refuse_header(header: list[str], name: str) -> None:
    known: dict[str, str] = {}
    for position, column in enumerate(header, start=1):
        if not column.strip():
            raise DatasetError(
                f"{name}: column {position} has no name in the header",
                cure="Name it, or leave the column out (pandas: to_csv(…, index=False)).",
            )
        folded = " ".join(folded_name(column, cased=True).split())
        if folded in known:
            twin = "twice" if known[folded] == column else f"beside {known[folded]!r}"
            raise DatasetError(
                f"{name}: column {column!r} stands {twin} in the header",
                cure="Rename or remove one of the two.",
            )
        known[folded] = column
    if not header:
        raise DatasetError(f"{name} has no header", cure="Name the columns in the first line.")


def _refuse_ragged(text: str, name: str) -> None:
    width = 0
    for line, row in _rows(text, name):
        width = width or len(row)
        if row and len(row) != width:
            raise DatasetError(
                f"{name}, line {line}: {len(row)} cells, but the header names {width} columns",
                cure="Give every row one cell a column; quote cells that hold commas.",
            )
