"""Opens the database of the store, and brings it to the revision that this version needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError

from auditor.errors import MissingExtraError, StoreError
from auditor.extras import to_install
from auditor.scratch import scratch_folder
from auditor.sqlitefiles import PATIENCE, make_private, settle
from auditor.store.migrations import Standing, bring, head, overheard, standing_of

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
                bring(connection)
        else:
            _require_current(engine)
    return engine


def reads_only(engine: Engine) -> dict[str, Any]:
    """Return the execution options of a connection on which nothing is written.

    PostgreSQL lets every statement of a transaction see what was committed by then, so that to
    begin and to end one there costs two round trips and changes nothing that is read.
    """
    apart = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {}
    return {READS: True, **apart}


def migrate(url: str) -> Standing:
    """Bring the database at ``url`` to this version's revision, and return where it stood.

    Raises like ``open_database``.
    """
    engine = _engine(url)
    with _explained(engine), engine.begin() as connection:
        before = bring(connection)
    engine.dispose()
    return before


def standing(url: str) -> Standing:
    """Return where the database at ``url`` stands; one that is not there is not made.

    Raises like ``open_database``.
    """
    if _absent(url):
        return Standing(None, head())
    engine = _engine(url)
    with _explained(engine), engine.connect() as connection:
        found = standing_of(connection)
    engine.dispose()
    return found


def rehearse(url: str) -> tuple[str, ...]:
    """Return the statements by which ``migrate`` would change the database at ``url``.

    They are carried out, on all the rows that there are, and taken back; until then others wait for
    the tables. Raises like ``open_database``.
    """
    with scratch_folder() as folder:
        engine = _engine(f"sqlite:///{folder}/auditor.db" if _absent(url) else url)
        with _explained(engine), engine.connect() as connection, connection.begin() as undone:
            with overheard(connection) as told:
                bring(connection)
            undone.rollback()
        engine.dispose()
    return tuple(told)


def sqlite_file(url: str) -> Path | None:
    """Return the file that a URL names, ``None`` for a server. Raises ``StoreError``."""
    parsed = _parse(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def _absent(url: str) -> bool:
    file = sqlite_file(url)
    return file is not None and not file.exists()


def _engine(url: str) -> Engine:
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    try:
        engine = create_engine(parsed)
    except ImportError as error:
        raise MissingExtraError(
            f"the driver for PostgreSQL is not installed ({error.name or error})",
            cure=f"{to_install('server')}.",
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


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        make_private(path)
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
    settle(connection, SETTINGS)


def _begin(connection: Connection) -> None:
    # Two transactions that both read and then write would block each other without a way out;
    # asking for the writer's place at once makes the second one wait instead. Who only reads takes
    # no place: a reader sees the moment at which it began, whoever writes meanwhile.
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _require_current(engine: Engine) -> None:
    with engine.connect() as connection:
        found = standing_of(connection)
    if found.lags:
        stands = f"stands at revision {found.current}" if found.current else "has no tables yet"
        raise StoreError(
            f"{_name(engine)} {stands}, and this version needs {found.needed}",
            cure="Run `auditor migrate`.",
        )


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
