"""A folder of blobs that lie elsewhere as well: those that were used last, up to a bound."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import StoreError
from auditor.store.blobs import PRIVATE, BlobStore

IN_USE = 60.0
"""Seconds for which what was used last stays, however much there is: somebody may be reading it."""
SHARE = 16
"""The folder is looked through again once a sixteenth of the bound has come in."""


@dataclass(slots=True)
class _Grown:
    """How many bytes came in since the folder was looked through; ``None`` before a first time."""

    bytes: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class BlobCache:
    """Blobs in ``folder``, of which those used longest ago go once all exceed ``most`` bytes."""

    folder: BlobStore
    most: int
    grown: _Grown = field(default_factory=_Grown)

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.folder.root

    def find(self, digest: str) -> Path | None:
        """Return where a blob lies, which is in use from now on, or ``None``."""
        if not self.folder.has(digest):
            return None
        path = self.folder.path(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def read(self, digest: str) -> bytes | None:
        """Return a blob, hashed again; one that is missing or damaged is ``None``, and gone."""
        if self.find(digest) is None:
            return None
        try:
            return self.folder.get(digest)
        except StoreError:
            self.folder.remove(digest)
            return None

    def put(self, raw: bytes) -> str:
        """Keep bytes and return their digest."""
        digest = self.folder.put(raw)
        self.find(digest)  # one that was there already is in use again
        self._note(len(raw))
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return the digest of what was copied."""
        digest = self.folder.put_file(path)
        self._note(path.stat().st_size)
        return digest

    def take(self, path: Path, digest: str) -> bool:
        """Move a file of that digest in, and say whether it had that digest."""
        size = path.stat().st_size
        taken = self.folder.take(path, digest)
        if taken:
            self._note(size)
        return taken

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """Give the path of a file that is no blob yet, and is gone afterwards unless it was taken.

        Raises ``OSError``.
        """
        self.root.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.root, prefix=".partial-")
        os.close(descriptor)
        path = Path(name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _note(self, size: int) -> None:
        with self.grown.lock:
            if self.grown.bytes is not None:
                self.grown.bytes += size
                if self.grown.bytes <= self.most // SHARE:
                    return
            self.grown.bytes = 0
        self._trim()

    def _trim(self) -> None:
        found = sorted(_blobs(self.root))
        total, young = sum(size for _used, size, _path in found), time.time() - IN_USE
        for used, size, path in found:
            if total <= self.most or used > young:
                return
            path.unlink(missing_ok=True)
            total -= size


def _blobs(root: Path) -> Iterator[tuple[float, int, Path]]:
    for path in root.glob("[0-9a-f][0-9a-f]/*"):
        with suppress(FileNotFoundError):
            told = path.stat()
            yield told.st_mtime, told.st_size, path
