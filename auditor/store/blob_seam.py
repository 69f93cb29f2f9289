"""What is asked of the place where blobs lie, whether a folder or a bucket."""

from pathlib import Path
from typing import Protocol


class Blobs(Protocol):
    """Bytes that are found by what they are, and are what their name says.

    Every method raises ``StoreError`` for what is not a digest and for what the place refuses.
    """

    @property
    def root(self) -> Path:
        """A folder of this machine, on whose disk ``path`` finds blobs and ``take`` moves files."""
        ...

    @property
    def name(self) -> str:
        """What messages call the place."""
        ...

    def put(self, raw: bytes) -> str:
        """Keep ``raw`` and return its digest; a blob that is there and whole is left alone."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return the digest of what was copied."""
        ...

    def take(self, path: Path, digest: str) -> bool:
        """Move a file of that digest here, and say whether it had it; one of another stays."""
        ...

    def get(self, digest: str) -> bytes:
        """Return a blob, hashed again. Raises ``StoreError`` when it is missing or damaged."""
        ...

    def path(self, digest: str) -> Path:
        """Return where a blob lies on this machine. Raises ``StoreError`` when it is missing."""
        ...

    def size(self, digest: str) -> int:
        """Return a blob's length in bytes. Raises ``StoreError`` when it is missing."""
        ...

    def has(self, digest: str) -> bool:
        """Whether there is a blob under that digest; it is not hashed again."""
        ...

    def remove(self, digest: str) -> None:
        """Remove a blob; one that is not there stays away."""
        ...
