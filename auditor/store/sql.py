"""SQL: statements with positional parameters, inserts that the first one wins, prefix conditions.

Named parameters and a dictionary per row take longer than SQLite itself, so frequent statements are
sent as text with positional values where the driver supports it.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, CursorResult, Insert, Select, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from auditor.store.tables import TableBase

_DIALECT = SQLiteDialect_pysqlite()
Values = tuple[Any, ...]
Question: TypeAlias = "Select[*tuple[Any, ...]]"


class PositionalStatement:
    """A statement whose values come in the order of ``names``; any other driver hears the names."""

    def __init__(self, statement: "Question | Insert", *names: str) -> None:
        self._statement, self._names = statement, names
        columns = names if isinstance(statement, Insert) else None
        self._text = str(statement.compile(dialect=_DIALECT, column_keys=columns))

    def execute(self, connection: Connection, values: Sequence[Values]) -> CursorResult[*Values]:
        """Carry it out, once for each of the values; a question is asked with one."""
        if connection.dialect.paramstyle == _DIALECT.paramstyle:
            return connection.exec_driver_sql(self._text, list(values))
        named = [dict(zip(self._names, each, strict=True)) for each in values]
        return connection.execute(self._statement, named)


LAST = "\U0010ffff"
"""Comes after every sign that an id has."""


def build_prefix_condition(
    connection: Connection, column: InstrumentedAttribute[str], prefix: str
) -> ColumnElement[bool]:
    """Return the condition that a text begins so, as the index of the database at hand knows it."""
    if not prefix or connection.dialect.name != "sqlite":
        return column.startswith(prefix, autoescape=True)
    # SQLite keeps texts in the order of their bytes, and uses no index for LIKE.
    return column.between(prefix, prefix + LAST)


def insert_if_absent(session: Session, table: type[TableBase], /, **columns: object) -> bool:
    """Add a row and return ``True``, or ``False`` where one of the same key is there already."""
    postgres = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(table) if postgres else sqlite.insert(table)
    key = inspect(table).primary_key[0]
    done = session.execute(insert.values(**columns).on_conflict_do_nothing().returning(key))
    return done.first() is not None
