"""Says whether anything in a database may be another than before, without looking at what it is."""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from auditor.errors import StoreError

MARKS: Mapping[str, str] = {
    # https://sqlite.org/pragma.html#pragma_data_version: another one once anybody else has written
    "sqlite": "PRAGMA data_version",
    # Two snapshots that are the same see the same rows: PostgreSQL documentation, section 9.28.
    "postgresql": "SELECT pg_current_snapshot()::text",
}
Mark = tuple[int, object]
V = TypeVar("V")


class RowMarks(Protocol):
    """Marks what some rows of a database say, by what one connection is told."""

    def of(self, connection: Any) -> object:  # noqa: ANN401 -- the driver's own type
        """Return the mark of now."""
        ...


@dataclass(slots=True)
class MarkedValue(Generic[V]):
    """What was last read of a database, which is so as long as that is marked the same."""

    _last: tuple[Mark, V] | None = None

    def of(self, mark: Mark, read: Callable[[], V]) -> V:
        """Return what is held under a mark, or is read now that the mark was."""
        last = self._last
        if last is None or last[0] != mark:
            last = self._last = mark, read()
        return last[1]


@dataclass(slots=True)
class ChangeTracker:
    """Marks what a database holds: as long as two marks are equal, nothing was written between.

    The connection is this one's alone, for what SQLite says is true of one connection; how often
    it was opened is part of a mark, so that one after a break is never equal to one before.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opened: int = 0
    _connection: Any = None
    _rows: RowMarks | None = None

    def mark(self, engine: Engine) -> Mark:
        """Return the mark of now. Raises ``StoreError`` where the database does not answer."""
        return self._asked(engine, partial(_first, MARKS[engine.dialect.name]))

    def of_rows(self, engine: Engine, rows: Callable[[], RowMarks]) -> Mark:
        """Return a mark of what rows say; ``rows`` are begun anew with each connection.

        What is asked took 0.1 ms where nothing is remembered of it, so that it is asked only after
        ``mark`` is another. Raises as that does.
        """
        return self._asked(engine, partial(self._of_rows, rows))

    def _asked(self, engine: Engine, ask: Callable[[Any], object]) -> Mark:
        with self._lock:
            try:
                return self._answer(engine, ask)
            except _errors(engine):
                self._close()  # a server that was started anew knows the connection no more
            try:
                return self._answer(engine, ask)
            except _errors(engine) as error:
                self._close()
                raise StoreError(
                    f"the store does not answer: {error}", cure="See that the database is running."
                ) from error

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._close()

    def _answer(self, engine: Engine, ask: Callable[[Any], object]) -> Mark:
        if self._connection is None:
            pooled = engine.raw_connection()
            pooled.detach()
            self._connection, self._opened = pooled.dbapi_connection, self._opened + 1
            if engine.dialect.name == "postgresql":
                self._connection.autocommit = True
            self._rows = None
        return self._opened, ask(self._connection)

    def _of_rows(self, rows: Callable[[], RowMarks], connection: Any) -> object:  # noqa: ANN401 -- the same
        if self._rows is None:
            self._rows = rows()
        return self._rows.of(connection)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _first(question: str, connection: Any) -> object:  # noqa: ANN401 -- the driver's own type
    with closing(connection.cursor()) as cursor:
        return cursor.execute(question).fetchone()[0]


def _errors(engine: Engine) -> tuple[type[Exception], ...]:
    return SQLAlchemyError, engine.dialect.loaded_dbapi.Error
