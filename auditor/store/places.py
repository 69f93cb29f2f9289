"""Where a store is, which is asked before anything of a database is loaded."""

from dataclasses import dataclass
from pathlib import Path

from auditor.store.blob_seam import Blobs


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger lives, and the name (``origin``) that it takes when it begins."""

    database: str
    blobs: Path | Blobs
    home: Path
    origin: str

    @property
    def kept(self) -> bool:
        """Whether a store may be there: a server's always, a file's where there is one."""
        scheme, found, path = self.database.partition(":///")
        return not found or scheme != "sqlite" or Path(path).is_file()
