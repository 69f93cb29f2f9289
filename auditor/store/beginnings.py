"""Texts that begin so, found by an index."""

from sqlalchemy import ColumnElement, Connection
from sqlalchemy.orm import InstrumentedAttribute

LAST = "\U0010ffff"
"""Comes after every sign that an id has."""


def begins(
    connection: Connection, column: InstrumentedAttribute[str], prefix: str
) -> ColumnElement[bool]:
    """Return the condition that a text begins so, as the index of the database at hand knows it."""
    if not prefix or connection.dialect.name != "sqlite":
        return column.startswith(prefix, autoescape=True)
    # SQLite keeps texts in the order of their bytes, and uses no index for LIKE.
    return column.between(prefix, prefix + LAST)
