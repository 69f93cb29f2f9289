"""Which blobs a URL names: a folder of this machine, or a bucket with a cache."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from auditor.errors import StoreError
from auditor.store.blob_seam import Blobs
from auditor.store.blobs import BlobStore
from auditor.store.object_blobs import open_bucket

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?")


def blobs_at(url: str, cache: Path, most: int) -> Blobs:
    """Return the blobs at ``file:///FOLDER`` or ``s3://BUCKET/PREFIX``.

    ``cache`` is where those of a bucket are kept on this machine, at most so many bytes. Raises
    ``StoreError`` for another URL, and ``MissingExtraError`` where a part is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return BlobStore(Path(unquote(parts.path)))
    if BUCKET.fullmatch(url):
        return open_bucket(url, cache, most)
    # What stands there is not repeated: it may hold somebody's keys.
    raise StoreError(
        "AUDITOR_BLOBS_URL names no place of blobs that auditor knows",
        cure="Write file:///FOLDER or s3://BUCKET/PREFIX, without keys: those are read from "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
