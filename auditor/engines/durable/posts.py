"""Where an engine of one process works: its database, its name, and what it works for."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from auditor.engines.durable.liveness import AdvisoryLocks, FileLocks, Liveness
from auditor.refusals import EngineError
from auditor.sqlitefiles import PATIENCE, make_private, settle

SQLITE = "sqlite:///"
PRIVATE_FOLDER = 0o700
KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
}  # fmt: skip
SETTINGS = (
    f"PRAGMA busy_timeout = {PATIENCE}", "PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = ON",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The place of one process among those that share the engine's ``database`` (its URL).

    ``executor`` is the name of the process: no two may have the same at once. It works for
    ``targets``, ``slots`` checks at a time, and, with ``control``, takes submissions in hand. What
    is on the targets ``offered`` it takes too, any number at a time, and hands it on to others: it
    does not say that it works for them. ``polling`` is in seconds; ``schema`` is the engine's own
    in PostgreSQL, and ``locks`` the folder in which processes on SQLite show that they live.
    """

    database: str
    executor: str
    targets: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    control: bool = True
    slots: int = 1
    polling: float = 0.3
    schema: str = "auditor_engine"
    locks: Path | None = None

    @property
    def url(self) -> URL:
        """The database's URL with its driver. Raises ``EngineError`` for what is none."""
        if self.database.startswith(SQLITE) and len(self.database) > len(SQLITE):
            return URL.create("sqlite", database=self.database.removeprefix(SQLITE))
        try:
            url = make_url(self.database)
        except ArgumentError:
            url = URL.create("unknown")
        if url.get_backend_name() != "postgresql":
            raise EngineError(
                "the engine's URL names no database that it can use",
                cure="Write sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
            )
        return url.set(drivername="postgresql+psycopg")

    def engine(self) -> Engine | None:
        """Make the private file and its connections; ``None`` for PostgreSQL, where DBOS does."""
        url = self.url
        if url.get_backend_name() != "sqlite":
            return None
        path = Path(str(url.database))
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        make_private(path)
        engine = create_engine(url)
        event.listen(engine, "connect", _prepare)
        return engine

    def liveness(self) -> Liveness:
        """Return the locks by which processes at this database show that they live."""
        url = self.url
        if url.get_backend_name() == "sqlite":
            if self.locks is None:
                raise EngineError("no folder of locks is named", cure="Name one beside the file.")
            return FileLocks(self.locks)
        connections = create_engine(url, poolclass=NullPool, connect_args=KEEPALIVE)
        return AdvisoryLocks(connections, self.schema)


def _prepare(connection: object, _record: object) -> None:
    """Ask for the writer's place at the start of a transaction, and wait for others."""
    connection.isolation_level = "IMMEDIATE"  # type: ignore[attr-defined]  # the driver's own type
    settle(connection, SETTINGS)
