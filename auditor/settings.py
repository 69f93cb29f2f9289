"""What the environment decides: where keys, inputs and records are kept."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.shipped import user_home


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are kept. ``home`` holds the keys, the blobs and, by default, the database."""

    home: Path
    database: str

    @property
    def blobs(self) -> Path:
        """Folder of the content-addressed inputs and evidence."""
        return self.home / "blobs"

    @property
    def unfinished(self) -> Path:
        """Folder of what interrupted audits had seen."""
        return self.home / "unfinished"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read ``AUDITOR_HOME`` (else the user's config folder) and ``AUDITOR_DATABASE_URL``."""
        home = user_home(environment)
        database = environment.get("AUDITOR_DATABASE_URL") or f"sqlite:///{home / 'auditor.db'}"
        return cls(home, database)
