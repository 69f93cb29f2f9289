"""Backup of a store in use, and its restore: the database first, blobs after it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from auditor import __version__
from auditor.domain.json import encode_canonical, parse_json, read_json, write_fields
from auditor.errors import AuditorError, LedgerError, StoreError, UsageError
from auditor.store.blob_urls import StoreLocation
from auditor.store.blobs import PRIVATE, BlobStorage, FolderBlobStore
from auditor.store.database import find_database_revision, find_sqlite_file
from auditor.store.record_store import (
    RecordStore,
    copy_blobs,
    copy_database,
    settle_copy,
    translate_disk_errors,
)
from auditor.trust.keys.files import write_key

PRIVATE_FILE = 0o600
SCHEMA = "auditor/backup/v1"
LABEL, DATABASE, CHECKPOINT = "backup.json", "auditor.db", "checkpoint"
KEYS = ("*.key", "*.pub", "service/*.key")
"""The keys of openings (``disclosure/``) are no part of it: who erases one has to find them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBackup:
    """What a folder of a backup holds; it counts once its label, the last file, is written.

    ``revision`` is that of the database, ``None`` where it was dumped apart; ``elsewhere`` names
    the bucket whose blobs were left there; ``damaged`` are blobs that could not be copied whole.
    """

    schema: ClassVar[str] = SCHEMA
    taken: str
    version: str
    revision: str | None
    elsewhere: str | None
    damaged: tuple[str, ...] = field(default=())

    def label(self) -> bytes:
        """Return the file that says so."""
        return encode_canonical(write_fields(self))

    @classmethod
    def read(cls, folder: Path) -> "StoreBackup":
        """Read a backup's label. Raises ``UsageError`` where there is no whole backup."""
        try:
            return read_json(cls, parse_json((folder / LABEL).read_bytes()), LABEL)
        except (OSError, AuditorError):
            raise UsageError(
                f"{folder} holds no backup that came to its end",
                cure="Name the folder of one: `auditor backup` writes backup.json last.",
            ) from None


def create_backup(
    place: StoreLocation, folder: Path, at: str, *, database: bool = True
) -> StoreBackup:
    """Copy a store that may be in use, and its keys, into a folder; what is there already stays.

    Without ``database`` somebody dumped that before. Raises ``StoreError``, and ``UsageError``
    for a database that is not a file.
    """
    file = find_sqlite_file(place.database)
    if database and file is None:
        raise UsageError(
            "the database is a PostgreSQL, which this command does not copy",
            cure="Dump it first (pg_dump --format=custom), then add --no-database.",
        )
    with translate_disk_errors(folder):
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        (folder / LABEL).unlink(missing_ok=True)
    revision = _kept_database(file, folder) if database and file is not None else None
    blobs = _blobs(place)
    local = blobs if isinstance(blobs, FolderBlobStore) else None
    damaged = () if local is None else copy_blobs(local, FolderBlobStore(folder / "blobs"))
    for path in _keys(place.home):
        _write(folder / "keys" / path.relative_to(place.home), path.read_bytes())
    made = StoreBackup(
        taken=at,
        version=__version__,
        revision=revision,
        elsewhere=None if local is not None else blobs.name,
        damaged=damaged,
    )
    _write(folder / LABEL, made.label())
    return made


def restore_backup(folder: Path, place: StoreLocation) -> StoreBackup:
    """Lay a backup out in a home that has neither store nor keys yet; the database comes last.

    Blobs go to wherever ``place`` has them, also where that is a bucket now. Raises ``UsageError``
    and ``StoreError``.
    """
    made = StoreBackup.read(folder)
    file = find_sqlite_file(place.database)
    if (made.revision is None) != (file is None):
        raise UsageError(
            "the backup's database and AUDITOR_DATABASE_URL are not of one kind",
            cure="Restore a dump of PostgreSQL by pg_restore, and name that database.",
        )
    if file is None:
        # Refuse a server's database before anything is laid out beside it
        found = find_database_revision(place.database)
        if found.lags:
            stands = "has no tables" if found.current is None else f"stands at {found.current}"
            raise UsageError(
                f"the database {stands}, and this version needs {found.needed}",
                cure="Restore its dump first (pg_restore), then run `auditor migrate`.",
            )
    keys = {path: place.home / path.relative_to(folder / "keys") for path in _keys(folder / "keys")}
    taken = [it for it in (file, *keys.values()) if it is not None and it.exists()]
    if taken:
        raise UsageError(
            f"{taken[0]} is there already, and a backup replaces nothing",
            cure="Set AUDITOR_HOME to a folder without a store, or move that one away.",
        )
    with translate_disk_errors(place.home):
        place.home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    damaged = copy_blobs(FolderBlobStore(folder / "blobs"), _blobs(place))
    if damaged:
        raise StoreError(f"the backup's blob {damaged[0]} is damaged", cure="Use another backup.")
    for path, to in keys.items():
        _write(to, path.read_bytes())
    if file is not None:
        copy_database(folder / DATABASE, file)
    return made


def _kept_database(file: Path, folder: Path) -> str | None:
    """Copy the database with the last checkpoint of its ledger, and return its revision."""
    if not file.is_file():
        raise UsageError(f"there is no store at {file}", cure="Set AUDITOR_HOME to its folder.")
    copy_database(file, folder / DATABASE)
    url = f"sqlite:///{folder / DATABASE}"
    found = find_database_revision(url)
    if not found.lags:
        store = RecordStore.open(url, folder / "blobs")
        try:
            with store.ledger() as ledger:
                _write(folder / CHECKPOINT, ledger.checkpoint())
        except LedgerError:
            pass  # nothing has happened yet that it could speak of
        finally:
            store.close()
    settle_copy(folder / DATABASE)
    return found.current


def _keys(home: Path) -> Iterator[Path]:
    for pattern in KEYS:
        yield from sorted(path for path in home.glob(pattern) if path.is_file())


def _blobs(place: StoreLocation) -> BlobStorage:
    return FolderBlobStore(place.blobs) if isinstance(place.blobs, Path) else place.blobs


def _write(path: Path, raw: bytes) -> None:
    with translate_disk_errors(path):
        path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        write_key(path, raw, mode=PRIVATE_FILE)
