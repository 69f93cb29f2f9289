"""Opens and migrates the store's database (SQLite or PostgreSQL).

SQLite files are shared by several processes: they are created with private permissions, and a busy
database is retried.
"""

import errno
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError

from auditor._resources import scratch_folder
from auditor.errors import MissingExtraError, StoreError, suggest_install
from auditor.store.migrations import (
    RevisionStatus,
    find_head_revision,
    read_revision_status,
    record_statements,
    upgrade_database,
)

PATIENCE = 30_000
"""Milliseconds for which SQLite waits for another process that is writing."""
PAUSE = 0.01
PRIVATE_FILE = 0o600


def create_private_file(path: Path) -> None:
    """Make a file before SQLite does, so that it is private from its first moment on.

    One that is there is not opened: closing it would let go of every lock that this process has on
    it, and another process would then take what is written ahead for nobody's. Raises ``OSError``.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE))


def configure_connection(connection: Any, settings: Iterable[str]) -> None:  # noqa: ANN401 -- the driver's own type
    """Make settings of a connection; SQLite itself does not wait for others who turn to WAL too."""
    for setting in settings:
        _insist(connection, setting)


def _insist(connection: Any, setting: str) -> None:  # noqa: ANN401 -- the driver's own type
    until = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            connection.execute(setting)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE)
        else:
            return


SETTINGS = (
    f"PRAGMA busy_timeout = {PATIENCE}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # else INSERT OR REPLACE deletes past the triggers
)
PRIVATE_FOLDER = 0o700
IDLE, RESTED = "auditor_idle", 1.0
"""Since when a connection lies in the pool, and after how many seconds it is asked if it holds."""
READS = "auditor_reads"
"""The execution option of a connection on which nothing is written."""


def open_database(url: str, *, as_it_is: bool = False) -> Engine:
    """Open the database at ``url``, ready for use.

    An SQLite file is made and migrated as needed, unless it is to be left ``as_it_is``; a
    PostgreSQL database must stand at this version's revision already, for its administrator
    decides when it changes. Raises ``StoreError`` when it cannot be opened, is no database or
    another program's, or is older or newer than this version; ``MissingExtraError`` when the driver
    is not installed.
    """
    engine = _engine(url)
    with _explained(engine):
        if engine.dialect.name == "sqlite" and not as_it_is:
            with engine.begin() as connection:
                upgrade_database(connection)
        else:
            with engine.connect() as current_connection:
                found = read_revision_status(current_connection)
            if found.lags:
                stands = f"is at revision {found.current}" if found.current else "has no tables yet"
                raise StoreError(
                    f"{_name(engine)} {stands}, and this version needs {found.needed}",
                    cure="Run `auditor migrate`.",
                )
    return engine


def build_read_only_options(engine: Engine) -> dict[str, Any]:
    """Return the execution options of a connection on which nothing is written.

    PostgreSQL lets every statement of a transaction see what was committed by then, so that to
    begin and to end one there costs two round trips and changes nothing that is read.
    """
    apart = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {}
    return {READS: True, **apart}


def migrate(url: str) -> RevisionStatus:
    """Bring the database at ``url`` to this version's revision, and return where it stood.

    Raises like ``open_database``.
    """
    engine = _engine(url)
    with _explained(engine), engine.begin() as connection:
        before = upgrade_database(connection)
    engine.dispose()
    return before


def find_database_revision(url: str) -> RevisionStatus:
    """Return where the database at ``url`` stands; one that is not there is not made.

    Raises like ``open_database``.
    """
    if _absent(url):
        return RevisionStatus(None, find_head_revision())
    engine = _engine(url)
    with _explained(engine), engine.connect() as connection:
        found = read_revision_status(connection)
    engine.dispose()
    return found


def preview_migration(url: str) -> tuple[str, ...]:
    """Return the statements by which ``migrate`` would change the database at ``url``.

    They are carried out, on all the rows that there are, and taken back; until then others wait for
    the tables. Raises like ``open_database``.
    """
    with scratch_folder() as folder:
        engine = _engine(f"sqlite:///{folder}/auditor.db" if _absent(url) else url)
        with _explained(engine), engine.connect() as connection, connection.begin() as undone:
            with record_statements(connection) as told:
                upgrade_database(connection)
            undone.rollback()
        engine.dispose()
    return tuple(told)


def find_sqlite_file(url: str) -> Path | None:
    """Return the file that a URL names, ``None`` for a server. Raises ``StoreError``."""
    parsed = _parse(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def _absent(url: str) -> bool:
    file = find_sqlite_file(url)
    return file is not None and not file.exists()


def _engine(url: str) -> Engine:
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        try:
            path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            create_private_file(path)
        except OSError as error:
            raise StoreError(
                f"the store {path} cannot be opened for writing: {error.strerror}",
                cure="Make its folder writable, or set AUDITOR_HOME to another folder.",
            ) from error
        engine = create_engine(parsed)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine
    try:
        engine = create_engine(parsed)
    except ImportError as error:
        raise MissingExtraError(
            f"the driver for PostgreSQL is not installed ({error.name or error})",
            cure=f"{suggest_install('server')}.",
        ) from error
    event.listen(engine, "checkin", _laid_down)
    event.listen(engine, "checkout", partial(_taken_up, engine))
    return engine


def _laid_down(_connection: object, record: Any) -> None:  # noqa: ANN401 -- of the pool
    record.info[IDLE] = monotonic()


def _taken_up(engine: Engine, connection: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401 -- of the pool
    """Ask a connection that rested whether the server is still there; else another is opened.

    To ask each time would take as long as most questions: one that was used just now is believed.
    """
    if monotonic() - record.info.get(IDLE, monotonic()) > RESTED:
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


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


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 -- the driver's own type
    connection.isolation_level = None  # the driver's own BEGIN comes too late for _begin
    configure_connection(connection, SETTINGS)


def _begin(connection: Connection) -> None:
    # Two transactions that both read and then write would block each other without a way out;
    # asking for the writer's place at once makes the second one wait instead. Who only reads takes
    # no place: a reader sees the moment at which it began, whoever writes meanwhile.
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


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
