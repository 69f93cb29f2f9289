"""An agent's blobs: fetched once, checked, and kept up to a size."""

import os
from pathlib import Path

import pytest

from auditor.domain.json import compute_digest
from auditor.errors import RecordError
from auditor.service.agent.client import PARTS, STALE, AgentBlobCache
from auditor.store.blobs import FolderBlobStore
from auditor.store.blobs_s3 import BlobCache

RAW = b"rows"


def writing(raw: bytes, calls: list[str]):  # noqa: ANN201 -- a fetch
    def fetch(name: str, part: Path) -> None:
        calls.append(name)
        part.write_bytes(raw)

    return fetch


def cache(root: Path) -> AgentBlobCache:
    return AgentBlobCache(BlobCache(FolderBlobStore(root), 2**20))


def test_a_blob_is_fetched_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    fetched, calls = cache(tmp_path), list[str]()
    for _ in range(2):
        assert fetched.get(compute_digest(RAW), writing(RAW, calls)) == RAW
    assert len(calls) == 1
    place = fetched.cache.folder.path(compute_digest(RAW))
    place.chmod(0o600)
    place.write_bytes(b"other")
    assert fetched.get(compute_digest(RAW), writing(RAW, calls)) == RAW
    assert len(calls) == 2


def test_a_damaged_file_is_fetched_again_also_where_its_path_is_asked(tmp_path: Path) -> None:
    fetched, calls = cache(tmp_path), list[str]()
    place = fetched.find(compute_digest(RAW), writing(RAW, calls))
    place.chmod(0o600)
    place.write_bytes(b"other")
    assert fetched.find(compute_digest(RAW), writing(RAW, calls)).read_bytes() == RAW
    assert len(calls) == 2


def test_bytes_of_another_digest_are_refused_and_gone(tmp_path: Path) -> None:
    fetched = cache(tmp_path)
    with pytest.raises(RecordError, match="sent bytes with another digest than"):
        fetched.get(compute_digest(RAW), writing(b"other", []))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_parts_that_nobody_goes_on_with_are_forgotten(tmp_path: Path) -> None:
    old, new = tmp_path / f"{PARTS}old", tmp_path / f"{PARTS}new"
    for path in (old, new):
        path.write_bytes(b"some")
    long_ago = new.stat().st_mtime - STALE - 60
    os.utime(old, (long_ago, long_ago))
    cache(tmp_path).get(compute_digest(RAW), writing(RAW, []))
    assert (old.exists(), new.exists()) == (False, True)
