"""Adds a row unless there is one of its key: who comes first wins, and who comes later is told."""

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from auditor.store.tables import TableBase


def insert_if_absent(session: Session, table: type[TableBase], /, **columns: object) -> bool:
    """Add a row and return ``True``, or ``False`` where one of the same key is there already."""
    postgres = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(table) if postgres else sqlite.insert(table)
    key = inspect(table).primary_key[0]
    done = session.execute(insert.values(**columns).on_conflict_do_nothing().returning(key))
    return done.first() is not None
