"""What the environment decides: where keys, inputs and records are kept."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.keeping import Place
from auditor.shipped import user_home
from auditor.signing.passwords import PASSWORD_FILE
from auditor.store.secrets import SecretStore

LEDGER_ORIGIN = "auditor-ledger/{key}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are kept. ``home`` holds the keys, the blobs and, by default, the database.

    ``ledger_origin`` names a ledger that is begun; ``{key}`` in it stands for its key's digest.
    ``signer`` names the key that signs records, a path or a URI, where it is not ``signer.key`` in
    ``home``; ``password_file`` holds the password of keys that are encrypted.
    """

    home: Path
    database: str
    ledger_origin: str = LEDGER_ORIGIN
    signer: str | None = None
    password_file: Path | None = None

    @property
    def blobs(self) -> Path:
        """Folder of the content-addressed inputs and evidence."""
        return self.home / "blobs"

    @property
    def secrets(self) -> SecretStore:
        """The keys of records whose evidence is committed, in a folder of their own."""
        return SecretStore(self.home / "disclosure")

    @property
    def unfinished(self) -> Path:
        """Folder of what interrupted audits had seen."""
        return self.home / "unfinished"

    @property
    def place(self) -> Place:
        """Where the store and its ledger are."""
        return Place(self.database, self.blobs, self.home, self.ledger_origin)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read ``AUDITOR_HOME`` (else the user's config folder), ``AUDITOR_DATABASE_URL``,
        ``AUDITOR_LEDGER_ORIGIN``, ``AUDITOR_SIGNER`` and ``AUDITOR_PASSWORD_FILE``.
        """
        home = user_home(environment)
        database = environment.get("AUDITOR_DATABASE_URL") or f"sqlite:///{home / 'auditor.db'}"
        file = environment.get(PASSWORD_FILE)
        return cls(
            home,
            database,
            environment.get("AUDITOR_LEDGER_ORIGIN") or LEDGER_ORIGIN,
            environment.get("AUDITOR_SIGNER") or None,
            Path(file) if file else None,
        )
