"""The store: records in a database, evidence among blobs."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from auditor.errors import StoreError
from auditor.ledgers.events import SALT
from auditor.ledgers.nodes import Nodes
from auditor.ledgers.notes import NoteSigner
from auditor.store.about_records import LOOKED, ONCE, AboutRecords
from auditor.store.bindings import NO_PROJECT
from auditor.store.blob_seam import Blobs
from auditor.store.blobs import BlobStore
from auditor.store.changes import Changes, Held, Mark, RowMarks
from auditor.store.database import open_database, reads_only
from auditor.store.extents import Extents
from auditor.store.ledger_reading import LedgerEntry, LedgerReader
from auditor.store.ledger_writing import LedgerWriter
from auditor.store.record_scopes import KeptScopes
from auditor.store.units import UnitOfWork

_SHARED: ContextVar[tuple[Engine, Session] | None] = ContextVar("_SHARED", default=None)
"""The transaction in which everything is read, where somebody said so."""


def fresh_salt() -> bytes:
    """Return what nobody can guess, for one leaf of the ledger."""
    return secrets.token_bytes(SALT)


@dataclass(frozen=True, slots=True)
class Store:
    """Where requests, records, lineage and evidence are kept, and from where nothing is taken.

    ``signer`` signs the ledger's checkpoints; without one it grows unsigned.
    """

    engine: Engine
    blobs: Blobs
    signer: NoteSigner | None = None
    salt: Callable[[], bytes] = fresh_salt
    nodes: Nodes = field(default_factory=Nodes)
    changes: Changes = field(default_factory=Changes)
    rest: Held[Mark] = field(default_factory=Held)
    about: AboutRecords = field(default_factory=AboutRecords)
    extents: Extents = field(default_factory=Extents)
    scopes: KeptScopes = field(default_factory=KeptScopes)

    @classmethod
    def open(
        cls,
        url: str,
        blobs: Path | Blobs,
        signer: NoteSigner | None = None,
        *,
        as_it_is: bool = False,
    ) -> Self:
        """Open the database at ``url``; a folder of ``blobs`` is made when needed.

        One that is left ``as_it_is`` is brought to no other revision. Raises ``StoreError`` and
        ``MissingExtraError`` like ``open_database``.
        """
        held = BlobStore(blobs) if isinstance(blobs, Path) else blobs
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
        with self._begun() as session:
            yield session

    @contextmanager
    def _begun(self) -> Iterator[Session]:
        with _explained(), Session(self.engine) as session, session.begin():
            session.connection(execution_options=reads_only(self.engine))
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

    def mark_rows(self, mark: Mark, rows: Callable[[], RowMarks]) -> Mark:
        """Return what stays equal until anybody writes rows that ``rows`` mark.

        ``mark`` is that of now; where the database cannot tell, it is this one too. ``rows`` are
        the same for whoever asks. Raises as ``mark``.
        """
        if not self.near:
            return mark
        return self.rest.of(mark, partial(self.changes.of_rows, self.engine, rows))

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
