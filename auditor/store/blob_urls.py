"""Opens the blob storage named by a URL: a local folder, or an S3 bucket with a cache.

``StoreLocation`` can be used before any database module is loaded.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from auditor.errors import StoreError
from auditor.store.blobs import BlobStorage, FolderBlobStore
from auditor.store.blobs_s3 import open_bucket

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?")


def open_blobs(url: str, cache: Path, most: int) -> BlobStorage:
    """Return the blobs at ``file:///FOLDER`` or ``s3://BUCKET/PREFIX``.

    ``cache`` is where those of a bucket are kept on this machine, at most so many bytes. Raises
    ``StoreError`` for another URL, and ``MissingExtraError`` where a part is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return FolderBlobStore(Path(unquote(parts.path)))
    if BUCKET.fullmatch(url):
        return open_bucket(url, cache, most)
    # What stands there is not repeated: it may hold somebody's keys.
    raise StoreError(
        "AUDITOR_BLOBS_URL names no place of blobs that auditor knows",
        cure="Write file:///FOLDER or s3://BUCKET/PREFIX, without keys: those are read from "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a ledger lives, and the name (``origin``) that it takes when it begins."""

    database: str
    blobs: Path | BlobStorage
    home: Path
    origin: str

    @property
    def kept(self) -> bool:
        """Whether a store may be there: a server's always, a file's where there is one."""
        scheme, found, path = self.database.partition(":///")
        return not found or scheme != "sqlite" or Path(path).is_file()
