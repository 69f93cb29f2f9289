"""The store: records in a database, evidence in a folder of blobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from auditor.errors import StoreError
from auditor.store.blobs import BlobStore
from auditor.store.database import open_database
from auditor.store.units import UnitOfWork


@dataclass(frozen=True, slots=True)
class Store:
    """Where requests, records, lineage and evidence are kept, and from where nothing is taken."""

    engine: Engine
    blobs: BlobStore

    @classmethod
    def open(cls, url: str, blobs: Path) -> Self:
        """Open the database at ``url`` and the folder ``blobs``, which is made when needed.

        Raises ``StoreError`` and ``MissingExtraError`` like ``open_database``.
        """
        return cls(open_database(url), BlobStore(blobs))

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        """Do several things in one transaction: kept at the end, undone by any exception.

        Raises ``StoreError`` when the database refuses.
        """
        try:
            with Session(self.engine) as session, session.begin():
                yield UnitOfWork(session)
        except DBAPIError as error:
            raise StoreError(
                f"the store refused a transaction, and nothing of it is kept: {error.orig}",
                cure="See that the database is running, has room, and is not locked; then repeat.",
            ) from error

    def close(self) -> None:
        """Let go of the database's connections."""
        self.engine.dispose()
