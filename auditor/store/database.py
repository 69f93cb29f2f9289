"""Opens the database of the store, and brings it to the revision that this version needs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from auditor.errors import MissingExtraError, StoreError
from auditor.shipped import shipped

PATIENCE = 30_000
"""Milliseconds for which SQLite waits for another process that is writing."""

SETTINGS = (
    f"PRAGMA busy_timeout = {PATIENCE}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # else INSERT OR REPLACE deletes past the triggers
)
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
MIGRATION_LOCK = 0x61756469746F72  # "auditor"; any fixed number would do


def open_database(url: str) -> Engine:
    """Open the database at ``url``, ready for use.

    An SQLite file is made and migrated as needed; a PostgreSQL database must stand at this
    version's revision already, for its administrator decides when it changes. Raises
    ``StoreError`` when it cannot be opened, is no database or another program's, or is older or
    newer than this version; ``MissingExtraError`` when the driver is not installed.
    """
    engine = _engine(url)
    with _explained(engine):
        if engine.dialect.name == "sqlite":
            _migrate(engine)
        else:
            _require_current(engine)
    return engine


def migrate(url: str) -> str:
    """Bring the database at ``url`` to this version's revision, and return that revision.

    Raises like ``open_database``.
    """
    engine = _engine(url)
    with _explained(engine):
        _migrate(engine)
    engine.dispose()
    return _head()


def _engine(url: str) -> Engine:
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    try:
        return create_engine(parsed, pool_pre_ping=True)
    except ImportError as error:
        raise MissingExtraError(
            f"the driver for PostgreSQL is not installed ({error.name or error})",
            cure="Run `pip install 'auditor[server]'`.",
        ) from error


def _parse(url: str) -> URL:
    scheme, found, path = url.partition(":///")
    try:
        # A path may hold any sign, `?` and `%` too, so all that follows the scheme is the path.
        sqlite = found and scheme == "sqlite"
        parsed = URL.create(scheme, database=path) if sqlite else make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise StoreError(
            "the store's URL names no database that auditor knows",
            cure="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
        )
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.database in {None, "", ":memory:"}:
        raise StoreError(
            "the store's URL names no file, and a store in memory would keep nothing",
            cure="Write sqlite:///PATH.",
        )
    return parsed


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        # Made here, before SQLite makes it, so that it is private from its first moment on.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE))
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be opened for writing: {error.strerror}",
            cure="Make its folder writable, or set AUDITOR_HOME to another folder.",
        ) from error
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 -- the driver's own type
    connection.isolation_level = None  # the driver's own BEGIN comes too late for _begin
    for setting in SETTINGS:
        connection.execute(setting)


def _begin(connection: Connection) -> None:
    # Two transactions that both read and then write would block each other without a way out;
    # asking for the writer's place at once makes the second one wait instead.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    config = _config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            key = {"key": MIGRATION_LOCK}
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
        current = _revision(engine, connection)
        if current == _head():
            return
        if current is None and inspect(connection).get_table_names():
            raise StoreError(
                f"{_name(engine)} is a database of another program",
                cure="Name a database of its own for auditor.",
            )
        config.attributes["connection"] = connection
        upgrade(config, "head")


def _require_current(engine: Engine) -> None:
    with engine.connect() as connection:
        current = _revision(engine, connection)
    if current != _head():
        raise StoreError(
            f"{_name(engine)} stands at revision {current}, and this version needs {_head()}",
            cure="Run `auditor migrate`.",
        )


def _revision(engine: Engine, connection: Connection) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts().walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"{_name(engine)} stands at revision {current}, which this version does not know",
            cure="Use the version of auditor that wrote it, or a newer one.",
        )
    return current


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("alembic")).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _head() -> str:
    head = _scripts().get_current_head()
    if head is None:
        raise StoreError(
            f"there are no migrations in {shipped('alembic')}", cure="Install auditor again."
        )
    return head


def _name(engine: Engine) -> str:
    return f"the store {engine.url.render_as_string(hide_password=True)}"


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        engine.dispose()
        reason = error.orig if isinstance(error, DBAPIError) else error
        first = next(iter(str(reason).splitlines()), "no reason given")
        raise StoreError(
            f"{_name(engine)} cannot be opened: {first}",
            cure="See that it is a database, that it is running, and that you may write to it.",
        ) from error
    except StoreError:
        engine.dispose()
        raise
