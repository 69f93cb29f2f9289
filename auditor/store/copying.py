"""Copies of a store that is in use: its file of SQLite at one moment, and its blobs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import text

from auditor.errors import StoreError
from auditor.sqlitefiles import make_private
from auditor.store.blob_seam import Blobs
from auditor.store.blobs import PRIVATE, BlobStore
from auditor.store.store import Store

NAMED = text(
    "SELECT digest FROM uploads UNION SELECT files FROM outcomes WHERE files IS NOT NULL ORDER BY 1"
)


def copy_database(source: Path, place: Path) -> None:
    """Copy a file of SQLite as it is at one moment, whoever writes to it meanwhile.

    ``place`` is there whole or not at all. Raises ``StoreError``.
    """
    partial = place.with_name(f".partial-{place.name}")
    with explained(place):
        place.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        make_private(partial)
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
    with explained(place), closing(sqlite3.connect(place)) as copied:
        copied.execute("PRAGMA journal_mode = DELETE")


def copy_blobs(source: BlobStore, to: Blobs) -> tuple[str, ...]:
    """Copy the blobs that ``to`` lacks, each hashed, and return those that are damaged."""
    damaged = []
    for path in sorted(source.root.glob("[0-9a-f][0-9a-f]/*")):
        digest = f"sha256:{path.name}"
        if to.has(digest) and to.size(digest) == path.stat().st_size:
            continue
        if to.put_file(path) != digest:
            damaged.append(digest)
    return tuple(damaged)


def lacking(store: Store) -> tuple[str, ...]:
    """Return the digests of uploads and of records' files that the blobs have not."""
    with store.transaction() as session:
        named = session.scalars(NAMED).all()
    return tuple(digest for digest in named if not store.blobs.has(digest))


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Tell what the disk or SQLite refuses as a ``StoreError``."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(
            f"{place} cannot be written: {reason}",
            cure="See that its disk has room, and that you may write there.",
        ) from error
