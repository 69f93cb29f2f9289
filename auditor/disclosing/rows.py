"""Evidence as rows: an item is taken apart into the bytes of its rows, and put together again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeGuard

import numpy as np

from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.evidence import Item, decode, encode

Rows: TypeAlias = Sequence[bytes]


class Form(StrEnum):
    """What an item's rows are: of an array, a list, or an object of lists; or it is one leaf."""

    ARRAY = "array"
    LIST = "list"
    COLUMNS = "columns"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Header:
    """What is said of an item in the clear. ``dtype`` and ``shape`` are those of an array.

    ``columns`` are the names of an object's lists; ``leaves`` is the number of rows.
    """

    form: Form
    leaves: int
    dtype: str = ""
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def row_bytes(self) -> int | None:
        """How long each row is, where all are equally long."""
        if self.form is not Form.ARRAY:
            return None
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize


def take_apart(item: Item, rows: int | None) -> tuple[Header, Rows]:
    """Return the header and the rows of an item; ``rows`` is ``None`` where it has none.

    An item that has not that many rows is one leaf.
    """
    if rows is not None and isinstance(item, np.ndarray):
        plain = not item.dtype.hasobject and item.dtype.names is None
        if plain and item.ndim and len(item) == rows:
            return _array(item)
    elif rows is not None and isinstance(item, Mapping):
        if all(_is_list(column) and len(column) == rows for column in item.values()):
            return _columns(item, rows)
    elif rows is not None and _is_list(item) and len(item) == rows:
        return Header(Form.LIST, rows), [canonical(value) for value in item]
    return Header(Form.WHOLE, 1), [encode(item).raw]


def put_together(header: Header, rows: Rows) -> Item:
    """Return the item that these rows make, however many of its rows they are.

    Raises ``ValueError`` for bytes that are no rows of such an item.
    """
    match header.form:
        case Form.ARRAY:
            made = np.zeros((len(rows), *header.shape[1:]), np.dtype(header.dtype))
            if made.nbytes:
                made[...] = np.frombuffer(b"".join(rows), made.dtype).reshape(made.shape)
            return made
        case Form.LIST:
            return [_json(row) for row in rows]
        case Form.COLUMNS:
            found = [_json(row) for row in rows]
            return {name: [_member(row, name) for row in found] for name in header.columns}
        case Form.WHOLE:
            (raw,) = rows
            return decode(raw)


def _array(item: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> tuple[Header, Rows]:
    header = Header(Form.ARRAY, len(item), dtype=item.dtype.str, shape=item.shape)
    raw, size = item.tobytes(), header.row_bytes or 0
    return header, [raw[at * size : (at + 1) * size] for at in range(len(item))]


def _columns(item: Mapping[str, Json], rows: int) -> tuple[Header, Rows]:
    names = tuple(sorted(item))
    lists = {name: item[name] for name in names}
    made = [canonical({name: _at(lists[name], row) for name in names}) for row in range(rows)]
    return Header(Form.COLUMNS, rows, columns=names), made


def _at(column: Json, row: int) -> Json:
    return column[row] if isinstance(column, Sequence) else None


def _is_list(item: Item) -> TypeGuard[Sequence[Json]]:
    return isinstance(item, Sequence) and not isinstance(item, str)


def _json(row: bytes) -> Json:
    value = parse(row)
    if canonical(value) != row:
        message = "a row is not written in the one way"
        raise ValueError(message)
    return value


def _member(row: Json, name: str) -> Json:
    if not isinstance(row, Mapping) or name not in row:
        message = f"a row has no {name!r}"
        raise ValueError(message)
    return row[name]
