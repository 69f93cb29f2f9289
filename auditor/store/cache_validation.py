"""Validation of caches: whether a database may have changed, without reading its content."""

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(slots=True)
class ChangeTracker:
    """Marks what a database holds: as long as two marks are equal, nothing was written between.

    The connection is this one's alone, for what SQLite says is true of one connection; how often
    it was opened is part of a mark, so that one after a break is never equal to one before.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opened: int = 0
    _connection: Any = None

    def mark(self, engine: Engine) -> Mark:
        """Return the mark of now. Raises ``StoreError`` where the database does not answer."""
        with self._lock:
            try:
                return self._answer(engine)
            except _errors(engine):
                self._close()  # a server that was started anew knows the connection no more
            try:
                return self._answer(engine)
            except _errors(engine) as error:
                self._close()
                raise StoreError(
                    f"the store does not answer: {error}", cure="See that the database is running."
                ) from error

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._close()

    def _answer(self, engine: Engine) -> Mark:
        if self._connection is None:
            pooled = engine.raw_connection()
            pooled.detach()
            self._connection, self._opened = pooled.dbapi_connection, self._opened + 1
            if engine.dialect.name == "postgresql":
                self._connection.autocommit = True
        with closing(self._connection.cursor()) as cursor:
            return self._opened, cursor.execute(MARKS[engine.dialect.name]).fetchone()[0]

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _errors(engine: Engine) -> tuple[type[Exception], ...]:
    return SQLAlchemyError, engine.dialect.loaded_dbapi.Error
