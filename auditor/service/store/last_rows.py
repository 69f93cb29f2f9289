"""Says whether anything in an SQLite database changed beside what checks tell while they run."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from auditor.service.domain.submissions import SubmissionEventKind

EVENTS = "submission_events"
PROGRESS = frozenset({EVENTS, "shard_results"})
"""The tables in which checks write: of these, only events that are states count here."""
FOLLOW = frozenset({"ledger_state", "ledger_tiles", "submission_standings"})
"""The tables whose rows may change: each does so only along with a row that is added elsewhere."""
TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
)
TOLD = ", ".join(f"'{kind.value}'" for kind in SubmissionEventKind)
STATED = (
    f"(SELECT rowid FROM {EVENTS} WHERE rowid > ? AND kind NOT IN ({TOLD}) "  # noqa: S608 -- ours
    "ORDER BY rowid DESC LIMIT 1)"
)
LAST = f"(SELECT max(rowid) FROM {EVENTS})"  # noqa: S608 -- the same


@dataclass(slots=True)
class LastRowTracker:
    """Knows a database by the last row of each of its tables, whatever tables there are.

    Rows are only ever added: triggers refuse all else, but for tables that ``FOLLOW`` others. So
    two marks that are equal saw the same rows. One connection asks, in one statement.
    """

    _schema: object = None
    _question: str = ""
    _seen: int = 0
    _state: int | None = None

    def of(self, connection: Any) -> tuple[object, ...]:  # noqa: ANN401 -- the driver's own type
        """Return the mark of now."""
        with closing(connection.cursor()) as cursor:
            (schema,) = cursor.execute("PRAGMA schema_version").fetchone()
            if schema != self._schema:
                names = sorted(name for (name,) in cursor.execute(TABLES).fetchall())
                self._question = build_last_row_query(names)
                self._schema, self._seen, self._state = schema, 0, None
            *rows, state, last = cursor.execute(self._question, (self._seen,)).fetchone()
        self._seen, self._state = last or 0, state or self._state
        return schema, *rows, self._state


def build_last_row_query(tables: list[str]) -> str:
    """Return what is asked of these tables: the last row of each, but of those with progress."""
    rows = (
        f'(SELECT max(rowid) FROM "{name}")'  # noqa: S608 -- names that the database itself gives
        for name in tables
        if name not in PROGRESS
    )
    return f"SELECT {', '.join([*rows, STATED, LAST])}"
