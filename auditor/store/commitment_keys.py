"""Secret keys of records with committed evidence, kept apart so that they can be destroyed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.digests import Digest
from auditor.errors import StoreError
from auditor.store.blobs import sync_folder
from auditor.trust.disclosure import DisclosureKey

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


@dataclass(frozen=True, slots=True)
class SecretStore:
    """A folder with one file a record, named by the record's digest; only its owner reads it.

    It is no table of the database, whose log, copies and backups would keep what is destroyed.
    Every method raises ``StoreError`` for what the file system refuses.
    """

    root: Path

    def put(self, record: str, secret: DisclosureKey) -> None:
        """Keep the key of the record with that digest."""
        place, raw = self._place(record), secret.emit()
        try:
            self.root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.root)
        except OSError as error:
            raise _refused(place, error) from None

    def get(self, record: str) -> DisclosureKey | None:
        """Return a record's key, or ``None`` where there is none. Raises ``RecordError`` too."""
        place = self._place(record)
        try:
            raw = place.read_bytes() if place.exists() else b""
        except OSError as error:
            raise _refused(place, error) from None
        return DisclosureKey.parse(raw) if raw else None

    def records(self) -> Iterator[str]:
        """Yield the digests of the records whose keys are here, in order."""
        places = sorted(self.root.iterdir()) if self.root.is_dir() else []
        yield from (Digest.of_hex(place.name) for place in places if place.stat().st_size)

    def destroy(self, record: str) -> None:
        """Overwrite a record's key; an empty file stays, and says that it was here."""
        place = self._place(record)
        try:
            if not place.exists():
                return
            with place.open("r+b") as file:
                file.write(bytes(place.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
                file.truncate(0)
                os.fsync(file.fileno())
        except OSError as error:
            raise _refused(place, error) from None

    def destroyed(self, record: str) -> bool:
        """Whether a record's key was here and was destroyed."""
        place = self._place(record)
        return place.exists() and not place.stat().st_size

    def _place(self, record: str) -> Path:
        return self.root / Digest(record).hex


def _refused(place: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the key of a record at {place} cannot be kept or read: {error.strerror}",
        cure="Make AUDITOR_HOME writable for you, and see that the disk has room.",
    )
