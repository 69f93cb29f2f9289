"""Blobs that an agent fetched, kept on its own disk up to a size; what was used last stays."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import RecordError
from auditor.store.blob_cache import BlobCache

Fetch = Callable[[str, Path], None]
PRIVATE_FOLDER = 0o700
PARTS = ".part-"
STALE = 86400.0
"""Seconds after which a part that nobody went on with is removed."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Blobs in a cache, and the parts of those that broke off while they were fetched."""

    cache: BlobCache

    def get(self, digest: str, fetch: Fetch) -> bytes:
        """Return a blob, which ``fetch`` writes into a file where it is not here, or is damaged.

        Raises ``RecordError`` for bytes of another digest, and as ``fetch`` does.
        """
        return self.find(digest, fetch).read_bytes()

    def find(self, digest: str, fetch: Fetch) -> Path:
        """Return the file of a blob, fetched as ``get`` does. Raises as ``get``."""
        if self.cache.find(digest) is None or not self.cache.folder.whole(digest):
            self._fetch(digest, fetch)
        return self.cache.folder.path(digest)

    def _fetch(self, digest: str, fetch: Fetch) -> None:
        root = self.cache.root
        root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        part = root / f"{PARTS}{digest.removeprefix('sha256:')}"
        fetch(digest, part)
        if not self.cache.take(part, digest):
            part.unlink()
            raise RecordError(
                f"the service sent other bytes than those of {digest}",
                cure="Tell who runs the service: its blobs are damaged.",
            )
        self._forget()

    def _forget(self) -> None:
        long_ago = time.time() - STALE
        for path in self.cache.root.glob(f"{PARTS}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < long_ago:
                    path.unlink()
