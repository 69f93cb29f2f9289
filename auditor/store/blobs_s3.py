"""Content-addressed blob storage in an S3-compatible bucket, with a local cache.

The cache keeps the most recently used blobs up to a size limit.
"""

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import MissingExtraError, StoreError, suggest_install
from auditor.store.blobs import PRIVATE, FolderBlobStore, parse_blob_digest

IN_USE = 60.0
"""Seconds for which what was used last stays, however much there is: somebody may be reading it."""
SHARE = 16
"""The folder is looked through again once a sixteenth of the bound has come in."""


@dataclass(slots=True)
class _CacheGrowth:
    """How many bytes came in since the folder was looked through; ``None`` before a first time."""

    bytes: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class BlobCache:
    """Blobs in ``folder``, of which those used longest ago go once all exceed ``most`` bytes."""

    folder: FolderBlobStore
    most: int
    grown: _CacheGrowth = field(default_factory=_CacheGrowth)

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
        blobs = []
        root = self.root
        for blobs_path in root.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):
                told = blobs_path.stat()
                blobs.append((told.st_mtime, told.st_size, blobs_path))
        found = sorted(blobs)
        total, young = sum(size for _used, size, _path in found), time.time() - IN_USE
        for used, size, path in found:
            if total <= self.most or used > young:
                return
            path.unlink(missing_ok=True)
            total -= size


if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART = 8 * 2**20
"""Bytes of one part of an upload or a fetch."""
AT_ONCE = 4
"""How many parts of one upload are on their way at once."""
PATIENCE = timedelta(seconds=60)
"""How long a call to the bucket is repeated."""


@dataclass(frozen=True, slots=True)
class BucketBlobStore:
    """Blobs in a bucket, at ``<first two hex digits>/<all hex digits>`` as in a folder of blobs.

    A blob is there whole or not at all: of an upload that broke off nothing can be seen. What is
    fetched counts once it has the digest that was asked for.
    """

    name: str
    bucket: "ObjectStore"
    cache: BlobCache

    @property
    def root(self) -> Path:
        """The folder of what was used last."""
        return self.cache.root

    def put(self, raw: bytes) -> str:
        """Keep ``raw`` and return its digest; a blob that is there is left alone."""
        digest = self.cache.put(raw)
        self._send(raw, len(raw), digest)
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file at ``path`` and return the digest of what was copied."""
        digest = self.cache.put_file(path)
        here = self._here(digest)
        self._send(here, here.stat().st_size, digest)
        return digest

    def take(self, path: Path, digest: str) -> bool:
        """Keep a file of that digest and remove it from ``path``; say whether it had that digest.

        One that cannot be sent stays where it is, so that it can be tried again.
        """
        with translate_bucket_errors(self.name), path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != parse_blob_digest(digest).hex:
            return False
        self._send(path, path.stat().st_size, digest)
        return self.cache.take(path, digest)

    def get(self, digest: str) -> bytes:
        """Return a blob, hashed again. Raises ``StoreError`` when it is missing or damaged."""
        found = self.cache.read(digest)
        if found is not None:
            return found
        self._fetch(digest)
        return self.cache.folder.get(digest)

    def path(self, digest: str) -> Path:
        """Return where a blob lies on this machine, where it is fetched to unless it is there."""
        return self.cache.find(digest) or self._fetch(digest)

    def size(self, digest: str) -> int:
        """Return a blob's length in bytes. Raises ``StoreError`` when it is missing."""
        found = self._length(digest)
        if found is None:
            raise StoreError(
                f"the blob {digest} is missing from {self.name}",
                cure="Restore it from a copy of the store, or repeat the audit.",
            )
        return found

    def has(self, digest: str) -> bool:
        """Whether the bucket has a blob under that digest."""
        return self._length(digest) is not None

    def remove(self, digest: str) -> None:
        """Remove a blob from the bucket and from the cache here; caches elsewhere keep theirs."""
        import obstore  # noqa: PLC0415 -- optional

        with translate_bucket_errors(self.name):
            obstore.delete(self.bucket, _key(digest))
        self.cache.folder.remove(digest)

    def _here(self, digest: str) -> Path:
        return self.cache.folder.path(digest)

    def _send(self, source: Path | bytes, size: int, digest: str) -> None:
        import obstore  # noqa: PLC0415 -- optional

        with translate_bucket_errors(self.name):
            if self._length(digest) != size:
                obstore.put(
                    self.bucket,
                    _key(digest),
                    source,
                    use_multipart=size > PART,
                    chunk_size=PART,
                    max_concurrency=AT_ONCE,
                )

    def _fetch(self, digest: str) -> Path:
        import obstore  # noqa: PLC0415 -- optional

        size = self.size(digest)
        with translate_bucket_errors(self.name), self.cache.partial() as path:
            with path.open("wb") as file:
                for start in range(0, size, PART):
                    length = min(PART, size - start)
                    part = obstore.get_range(self.bucket, _key(digest), start=start, length=length)
                    file.write(part)
            if not self.cache.take(path, digest):
                raise StoreError(
                    f"the blob {digest} is damaged: the bytes in {self.name} have another digest",
                    cure="Restore that object from a copy, or remove it and repeat the audit.",
                )
        return self._here(digest)

    def _length(self, digest: str) -> int | None:
        import obstore  # noqa: PLC0415 -- optional

        with translate_bucket_errors(self.name):
            try:
                return int(obstore.head(self.bucket, _key(digest))["size"])
            except FileNotFoundError:
                return None


def open_bucket(url: str, cache: Path, most: int) -> BucketBlobStore:
    """Return the blobs at ``s3://BUCKET/PREFIX``, with at most so many bytes of them in ``cache``.

    Raises as ``connect_bucket``.
    """
    return BucketBlobStore(url, connect_bucket(url), BlobCache(FolderBlobStore(cache), most))


def connect_bucket(url: str) -> "ObjectStore":
    """Return what lies at ``s3://BUCKET/PREFIX``.

    Where the service is, and as whom it is called, say ``AWS_ENDPOINT_URL``, ``AWS_REGION``,
    ``AWS_ACCESS_KEY_ID`` and the like. Raises ``MissingExtraError``, and ``StoreError`` for a URL
    that is none.
    """
    try:
        from obstore.store import from_url  # noqa: PLC0415 -- optional
    except ImportError as error:
        raise MissingExtraError(
            f"what speaks to buckets is not installed ({error.name})",
            cure=f"{suggest_install('s3')}.",
        ) from error
    with translate_bucket_errors(url):
        return from_url(url, retry_config={"retry_timeout": PATIENCE})


def _key(digest: str) -> str:
    name = parse_blob_digest(digest).hex
    return f"{name[:2]}/{name}"


@contextmanager
def translate_bucket_errors(name: str) -> Iterator[None]:
    """Let what a bucket refuses be a ``StoreError`` that names it."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 -- optional

    try:
        yield
    except (BaseError, OSError) as error:
        # What follows the first line is for those who write the library.
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(
            f"{name}: {first[:300]}",
            cure="See that the bucket is there, that it can be reached (AWS_ENDPOINT_URL), and "
            "that the keys (AWS_ACCESS_KEY_ID, …) may read and write it.",
        ) from error
