"""Store of audit records in a database, with evidence in blob storage, and its live backup."""

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from auditor.domain.digests import Digest
from auditor.errors import StoreError
from auditor.store.blobs import PRIVATE, BlobStorage, FolderBlobStore
from auditor.store.cache_validation import ChangeTracker, Mark
from auditor.store.database import build_read_only_options, create_private_file, open_database
from auditor.store.ledger import (
    LOOKED,
    ONCE,
    LedgerEntry,
    LedgerReader,
    LedgerRecordIndex,
    LedgerWriter,
)
from auditor.store.record_scope_cache import RecordScopeCache
from auditor.store.unit_of_work import NO_PROJECT, RequestExtentCache, UnitOfWork
from auditor.trust.ledger.events import SALT
from auditor.trust.ledger.notes import NoteSigner
from auditor.trust.ledger.tiles import NodeCache

_SHARED: ContextVar[tuple[Engine, Session] | None] = ContextVar("_SHARED", default=None)
"""The transaction in which everything is read, where somebody said so."""


draw_salt = partial(secrets.token_bytes, SALT)
"""Makes the salt of one leaf of the ledger."""


@dataclass(frozen=True, slots=True)
class RecordStore:
    """Where requests, records, lineage and evidence are kept, and from where nothing is taken.

    ``signer`` signs the ledger's checkpoints; without one it grows unsigned.
    """

    engine: Engine
    blobs: BlobStorage
    signer: NoteSigner | None = None
    salt: Callable[[], bytes] = draw_salt
    nodes: NodeCache = field(default_factory=NodeCache)
    changes: ChangeTracker = field(default_factory=ChangeTracker)
    about: LedgerRecordIndex = field(default_factory=LedgerRecordIndex)
    extents: RequestExtentCache = field(default_factory=RequestExtentCache)
    scopes: RecordScopeCache = field(default_factory=RecordScopeCache)

    @classmethod
    def open(
        cls,
        url: str,
        blobs: Path | BlobStorage,
        signer: NoteSigner | None = None,
        *,
        as_it_is: bool = False,
    ) -> Self:
        """Open the database at ``url``; a folder of ``blobs`` is made when needed.

        One that is left ``as_it_is`` is brought to no other revision. Raises ``StoreError`` and
        ``MissingExtraError`` like ``open_database``.
        """
        held = FolderBlobStore(blobs) if isinstance(blobs, Path) else blobs
        return cls(open_database(url, as_it_is=as_it_is), held, signer)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction of which the ledger hears nothing: kept whole, or not at all.

        Raises ``StoreError`` when the database refuses.
        """
        with _explained(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction in which nothing is written, and which holds nobody up.

        Within ``at_once`` it is that one. Raises ``StoreError`` when the database refuses.
        """
        shared = _SHARED.get()
        if shared is not None and shared[0] is self.engine:
            with _explained():
                yield shared[1]
            return
        with _explained(), Session(self.engine) as session, session.begin():
            session.connection(execution_options=build_read_only_options(self.engine))
            yield session

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let all that is read in the block be read in one transaction; nothing is written there.

        To open and to end one costs as much as most questions. Raises like ``reading``.
        """
        with self.reading() as session:
            session.info[ONCE] = True
            token = _SHARED.set((self.engine, session))
            try:
                yield
            finally:
                _SHARED.reset(token)

    def look_again(self) -> None:
        """See within ``at_once``, from here on, what the ledger says by now of keys and records.

        So PostgreSQL answers; SQLite tells of the moment at which the transaction began.
        """
        shared = _SHARED.get()
        if shared is not None and shared[0] is self.engine and not self.near:
            shared[1].info.pop(LOOKED, None)

    @contextmanager
    def looking(self, project: str = NO_PROJECT) -> Iterator[UnitOfWork]:
        """Ask what a unit of work may be asked, in a transaction in which nothing is written."""
        with self.reading() as session:
            yield UnitOfWork(session, self.about, project)

    @contextmanager
    def unit_of_work(self, project: str = NO_PROJECT) -> Iterator[UnitOfWork]:
        """Do several things in one transaction: kept at the end, undone by any exception.

        What is registered is ``project``'s. What happened is appended to the ledger, and its
        checkpoint signed, before the end.
        Raises ``StoreError`` when the database refuses, or the ledger is not its own continuation.
        """
        with self.transaction() as session:
            unit = UnitOfWork(session, self.about, project)
            yield unit
            if unit.happened:
                session.flush()
                writer = LedgerWriter(session.connection(), self.signer, self.salt)
                writer.append(unit.happened)

    @contextmanager
    def ledger(self) -> Iterator[LedgerReader]:
        """Read the ledger in one transaction. Raises ``StoreError`` when the database refuses."""
        with self.reading() as session:
            yield LedgerReader(session.connection(), self.nodes)

    @property
    def near(self) -> bool:
        """Whether to ask for a mark waits for no other process."""
        return self.engine.dialect.name == "sqlite"

    def mark(self) -> Mark:
        """Return what stays equal until anybody writes. Raises ``StoreError``."""
        return self.changes.mark(self.engine)

    def key_entries(self) -> tuple[LedgerEntry, ...]:
        """Return the ledger's entries of all key events, the oldest first."""
        with self.reading() as session:
            return self.about.keys(session)

    def close(self) -> None:
        """Let go of the database's connections."""
        self.changes.close()
        self.engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreError(
            f"the store refused a transaction, and nothing of it is kept: {error.orig}",
            cure="See that the database is running, has room, and is not locked; then repeat.",
        ) from error


NAMED = text(
    "SELECT digest FROM uploads UNION SELECT files FROM outcomes WHERE files IS NOT NULL ORDER BY 1"
)


def copy_database(source: Path, place: Path) -> None:
    """Copy a file of SQLite as it is at one moment, whoever writes to it meanwhile.

    ``place`` is there whole or not at all. Raises ``StoreError``.
    """
    partial = place.with_name(f".partial-{place.name}")
    with translate_disk_errors(place):
        place.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        create_private_file(partial)
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(partial)) as new:
            old.backup(new)
            (found,) = new.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise StoreError(
                    f"{source} is damaged: {found}", cure="Restore it from an earlier backup."
                )
        partial.replace(place)


def settle_copy(place: Path) -> None:
    """Let a copy be readable where nobody may write: without a log that is written ahead."""
    with translate_disk_errors(place), closing(sqlite3.connect(place)) as copied:
        copied.execute("PRAGMA journal_mode = DELETE")


def copy_blobs(source: FolderBlobStore, to: BlobStorage) -> tuple[str, ...]:
    """Copy the blobs that ``to`` lacks, each hashed, and return those that are damaged."""
    damaged = []
    for path in sorted(source.root.glob("[0-9a-f][0-9a-f]/*")):
        digest = Digest.of_hex(path.name)
        if to.has(digest) and to.size(digest) == path.stat().st_size:
            continue
        if to.put_file(path) != digest:
            damaged.append(digest)
    return tuple(damaged)


def list_missing_blobs(store: RecordStore) -> tuple[str, ...]:
    """Return the digests of uploads and of records' files that the blobs have not."""
    with store.transaction() as session:
        named = session.scalars(NAMED).all()
    return tuple(digest for digest in named if not store.blobs.has(digest))


@contextmanager
def translate_disk_errors(place: Path) -> Iterator[None]:
    """Tell what the disk or SQLite refuses as a ``StoreError``."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(
            f"{place} cannot be written: {reason}",
            cure="See that its disk has room, and that you may write there.",
        ) from error
