"""Database migrations: the current revision, and the upgrade to the newest one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, text

from auditor._resources import find_shipped_folder
from auditor.errors import StoreError

MIGRATION_LOCK = 0x61756469746F72  # "auditor"; any fixed number would do
READS = ("SELECT", "PRAGMA", "SHOW")


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """The revision at which a database stood, ``None`` for an empty one, and the one it needs."""

    current: str | None
    needed: str

    @property
    def lags(self) -> bool:
        """Whether it has to be migrated."""
        return self.current != self.needed


def read_revision_status(connection: Connection) -> RevisionStatus:
    """Return where a database stands. Raises ``StoreError`` for one that is not ours, or newer."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts().walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"{mask_password(connection)} is at revision {current}, which this version does "
            "not know",
            cure="Use the version of auditor that wrote it, or a newer one.",
        )
    found = RevisionStatus(current, find_head_revision())
    if found.current is None and inspect(connection).get_table_names():
        raise StoreError(
            f"{mask_password(connection)} is a database of another program",
            cure="Name a database of its own for auditor.",
        )
    return found


def upgrade_database(connection: Connection) -> RevisionStatus:
    """Bring a database to this version's revision in the transaction at hand.

    Returns where it stood. Several that do so at once wait for each other. Raises ``StoreError``
    like ``read_revision_status``.
    """
    if connection.dialect.name == "postgresql":
        key = {"key": MIGRATION_LOCK}
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
    before = read_revision_status(connection)
    if before.lags:
        config = _config()
        config.attributes["connection"] = connection
        upgrade(config, "head")
    return before


@contextmanager
def record_statements(connection: Connection) -> Iterator[list[str]]:
    """Collect the statements that change something as long as the block lasts, in their order."""
    told: list[str] = []

    def hear(
        _connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,  # noqa: ANN401 -- the driver's own type
        _context: object,
        many: bool,  # noqa: FBT001 -- SQLAlchemy's own signature
    ) -> None:
        wanted = statement.strip()
        if not wanted.upper().startswith(READS):
            rows = len(parameters) if many else int(bool(parameters))
            said = f" -- with the values of {rows} row{'s' * (rows > 1)}" if rows else ""
            told.append(f"{wanted.rstrip(';')};{said}")

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield told
    finally:
        event.remove(connection, "before_cursor_execute", hear)


def find_head_revision() -> str:
    """Return the revision that this version needs. Raises ``StoreError`` for a broken install."""
    found = _scripts().get_current_head()
    if found is None:
        raise StoreError(
            f"there are no migrations in {find_shipped_folder('alembic')}",
            cure="Install auditor again.",
        )
    return found


def mask_password(connection: Connection) -> str:
    """Return what messages call a database, without its password."""
    return f"the store {connection.engine.url.render_as_string(hide_password=True)}"


def _config() -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(find_shipped_folder("alembic")).replace("%", "%%")
    )
    return config


@lru_cache(maxsize=1)
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
