"""Settings from the environment: where keys, inputs and records are kept."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor._resources import find_user_home
from auditor.errors import UsageError
from auditor.store.blob_urls import StoreLocation, open_blobs
from auditor.store.blobs import BlobStorage, FolderBlobStore
from auditor.store.check_times import CheckTimeStore
from auditor.store.commitment_keys import SecretStore
from auditor.trust.keys.files import PASSWORD_FILE

DATABASE = "AUDITOR_DATABASE_URL"
CACHE = 10 * 2**30
LEDGER_ORIGIN = "auditor-ledger/{key}"
ADMIN_KEY = Path("service") / "admin.key"
"""Where the key of a service's first admin lies, below ``AUDITOR_HOME``."""


@dataclass(frozen=True, slots=True)
class AuditorSettings:
    """Where things are kept. ``home`` holds the keys, the blobs and, by default, the database.

    ``ledger_origin`` names a ledger that is begun; ``{key}`` in it stands for its key's digest.
    ``signer`` names the key that signs records, a path or a URI, where it is not ``signer.key`` in
    ``home``; ``password_file`` holds the password of keys that are encrypted. ``blobs_url`` names
    another place of blobs than the folder in ``home``; of a bucket's at most ``blobs_cache`` bytes
    are kept here.
    """

    home: Path
    database: str
    ledger_origin: str = LEDGER_ORIGIN
    signer: str | None = None
    password_file: Path | None = None
    blobs_url: str | None = None
    blobs_cache: int = CACHE

    @property
    def blobs(self) -> BlobStorage:
        """The content-addressed inputs and evidence. Raises ``StoreError``."""
        if self.blobs_url is None:
            return FolderBlobStore(self.home / "blobs")
        return open_blobs(self.blobs_url, self.home / "blobs-cache", self.blobs_cache)

    @property
    def secrets(self) -> SecretStore:
        """The keys of records whose evidence is committed, in a folder of their own."""
        return SecretStore(self.home / "disclosure")

    @property
    def unfinished(self) -> Path:
        """Folder of what interrupted audits had seen."""
        return self.home / "unfinished"

    @property
    def times(self) -> CheckTimeStore:
        """What checks took in earlier audits."""
        return CheckTimeStore(self.home / "times")

    @property
    def place(self) -> StoreLocation:
        """Where the store and its ledger are."""
        return StoreLocation(self.database, self.blobs, self.home, self.ledger_origin)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "AuditorSettings":
        """Read ``AUDITOR_HOME`` (else the user's config folder), ``AUDITOR_DATABASE_URL``
        (or a file that holds it, ``AUDITOR_DATABASE_URL_FILE``),
        ``AUDITOR_LEDGER_ORIGIN``, ``AUDITOR_SIGNER``, ``AUDITOR_PASSWORD_FILE``,
        ``AUDITOR_BLOBS_URL`` and ``AUDITOR_BLOBS_CACHE`` (bytes).
        """
        home = find_user_home(environment)
        database = _database(environment) or f"sqlite:///{home / 'auditor.db'}"
        file = environment.get(PASSWORD_FILE)
        written = environment.get("AUDITOR_BLOBS_CACHE") or str(CACHE)
        if not written.isascii() or not written.isdigit():
            raise UsageError(
                f"AUDITOR_BLOBS_CACHE is {written[:40]!r}, which is not a number of bytes",
                cure="Write a whole number, such as 10737418240.",
            )
        return cls(
            home,
            database,
            environment.get("AUDITOR_LEDGER_ORIGIN") or LEDGER_ORIGIN,
            environment.get("AUDITOR_SIGNER") or None,
            Path(file) if file else None,
            environment.get("AUDITOR_BLOBS_URL") or None,
            int(written),
        )


def _database(environment: Mapping[str, str]) -> str | None:
    """Return the URL of the database, which may hold a password and so lie in a file."""
    url, file = (environment.get(name) for name in (DATABASE, f"{DATABASE}_FILE"))
    if not file:
        return url or None
    if url:
        raise UsageError(
            f"{DATABASE} and {DATABASE}_FILE are both set", cure="Leave one of them out."
        )
    cure = "Name a file with one line, the database's URL, that this user may read."
    try:
        found = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        problem = f"{DATABASE}_FILE cannot be read: {type(error).__name__}"
        raise UsageError(problem, cure=cure) from None
    if not found:
        raise UsageError(f"{DATABASE}_FILE names an empty file", cure=cure)
    return found
