"""Blobs in a bucket: what holds for a folder of blobs holds for them, and the cache is bounded."""

import hashlib
import os
import time
from pathlib import Path

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from auditor.errors import StoreError, UsageError
from auditor.store.blob_urls import open_blobs
from auditor.store.blobs import FolderBlobStore
from auditor.store.blobs_s3 import IN_USE, PART, BlobCache, BucketBlobStore
from auditor.workflows.settings import AuditorSettings

ABSENT = f"sha256:{'0' * 64}"
LONG_AGO = time.time() - 2 * IN_USE


def opened(bucket: MemoryStore, cache: Path, most: int = 2**30) -> BucketBlobStore:
    return BucketBlobStore("s3://bucket", bucket, BlobCache(FolderBlobStore(cache), most))


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def blobs(bucket: MemoryStore, tmp_path: Path) -> BucketBlobStore:
    return opened(bucket, tmp_path / "here")


@pytest.fixture
def elsewhere(bucket: MemoryStore, tmp_path: Path) -> BucketBlobStore:
    """The same bucket from a machine that has nothing of it yet."""
    return opened(bucket, tmp_path / "elsewhere")


def sha(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def keys(bucket: MemoryStore) -> list[str]:
    return [item["path"] for page in obstore.list(bucket) for item in page]


@given(raw=st.binary(max_size=200))
def test_what_is_put_comes_back_elsewhere_under_its_sha256(
    raw: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base, bucket = tmp_path_factory.mktemp("law"), MemoryStore()
    digest = opened(bucket, base / "a").put(raw)
    assert digest == sha(raw)
    assert opened(bucket, base / "b").get(digest) == raw


def test_a_file_of_several_parts_comes_back(
    blobs: BucketBlobStore, elsewhere: BucketBlobStore, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(os.urandom(64) * (PART // 50))
    digest = blobs.put_file(file)
    assert elsewhere.path(digest).read_bytes() == file.read_bytes()
    assert elsewhere.size(digest) == file.stat().st_size > PART


def test_a_bucket_is_laid_out_as_a_folder_of_blobs_is(
    blobs: BucketBlobStore, bucket: MemoryStore, tmp_path: Path
) -> None:
    folder = FolderBlobStore(tmp_path / "folder")
    digest = folder.put(b"evidence")
    assert blobs.put(b"evidence") == digest
    assert keys(bucket) == [str(folder.path(digest).relative_to(folder.root))]


def test_a_file_is_taken_only_under_its_own_digest(
    blobs: BucketBlobStore, bucket: MemoryStore, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"weights")
    assert not blobs.take(part, sha(b"other"))
    assert part.exists()
    assert keys(bucket) == []
    assert blobs.take(part, sha(b"weights"))
    assert not part.exists()
    assert blobs.has(sha(b"weights"))


def test_a_file_that_cannot_be_sent_stays_where_it_is(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"weights")
    away = obstore.store.S3Store(
        "bucket",
        endpoint="http://127.0.0.1:1",
        region="none",
        access_key_id="none",
        secret_access_key="no secret",  # noqa: S106 -- nobody is there
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    blobs = BucketBlobStore(
        "s3://bucket", away, BlobCache(FolderBlobStore(tmp_path / "here"), 2**30)
    )
    with pytest.raises(StoreError, match="s3://bucket: ") as caught:
        blobs.take(part, sha(b"weights"))
    assert "AWS_ENDPOINT_URL" in caught.value.cure
    assert "no secret" not in str(caught.value)
    assert part.read_bytes() == b"weights"


def test_bytes_of_another_digest_are_refused_and_not_kept(
    blobs: BucketBlobStore, elsewhere: BucketBlobStore, bucket: MemoryStore
) -> None:
    digest = blobs.put(b"evidence")
    obstore.put(bucket, keys(bucket)[0], b"evidencf")
    for _ in range(2):
        with pytest.raises(StoreError, match=f"{digest} is damaged"):
            elsewhere.get(digest)
        with pytest.raises(StoreError, match="damaged"):
            elsewhere.path(digest)
    assert not [path for path in elsewhere.root.rglob("*") if path.is_file()]


def test_what_is_damaged_here_is_fetched_again(blobs: BucketBlobStore) -> None:
    digest = blobs.put(b"evidence")
    place = blobs.path(digest)
    place.chmod(0o600)
    place.write_bytes(b"evidencf")
    assert blobs.get(digest) == b"evidence"


def test_a_missing_blob_is_named(blobs: BucketBlobStore) -> None:
    for ask in (blobs.get, blobs.path, blobs.size):
        with pytest.raises(StoreError, match=f"{ABSENT} is missing from s3://bucket"):
            ask(ABSENT)
    assert not blobs.has(ABSENT)
    blobs.remove(ABSENT)


def test_what_is_no_digest_is_no_key(blobs: BucketBlobStore, bucket: MemoryStore) -> None:
    for text in ("", "sha256:../../x", ABSENT.upper(), f"{ABSENT}\n"):
        with pytest.raises(StoreError, match="not a digest"):
            blobs.get(text)
    assert keys(bucket) == []


def test_what_is_removed_is_gone_from_the_bucket(blobs: BucketBlobStore) -> None:
    digest = blobs.put(b"evidence")
    blobs.remove(digest)
    assert not blobs.has(digest)
    with pytest.raises(StoreError, match="missing"):
        blobs.get(digest)


def test_the_cache_keeps_what_was_used_last_and_no_more_than_its_bound(
    bucket: MemoryStore, tmp_path: Path
) -> None:
    blobs = opened(bucket, tmp_path / "here", most=10_000)
    old = [blobs.put(bytes([number]) * 1000) for number in range(20)]
    assert len(list(blobs.root.glob("??/*"))) == 20  # what is in use stays
    for digest in old[1:]:
        os.utime(blobs.path(digest), (LONG_AGO, LONG_AGO))
    new = blobs.put(b"new" * 300)
    assert sum(path.stat().st_size for path in blobs.root.glob("??/*")) <= 10_000
    assert blobs.cache.find(old[0])
    assert blobs.cache.find(new)
    assert all(blobs.get(digest) for digest in old)


def test_what_is_put_again_is_in_use_again(bucket: MemoryStore, tmp_path: Path) -> None:
    blobs = opened(bucket, tmp_path / "here", most=0)
    digest = blobs.put(b"evidence")
    os.utime(blobs.root / digest[7:9] / digest[7:], (LONG_AGO, LONG_AGO))
    assert blobs.put(b"evidence") == digest
    assert blobs.cache.find(digest)


@pytest.mark.parametrize(
    "url",
    ["blobs", "/srv/blobs", "s3://", "s3://b", "s3://key:secret@bucket/x", "s3://bucket/x?y=z",
     "gs://bucket", "file://host/x", "http://127.0.0.1/x"],
)  # fmt: skip
def test_another_url_is_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="AUDITOR_BLOBS_URL") as caught:
        open_blobs(url, tmp_path, 1)
    assert "secret@" not in str(caught.value)


def test_the_environment_decides_where_blobs_lie(tmp_path: Path) -> None:
    home = {"AUDITOR_HOME": str(tmp_path)}
    assert AuditorSettings.from_environment(home).blobs == FolderBlobStore(tmp_path / "blobs")
    shared = AuditorSettings.from_environment(
        {**home, "AUDITOR_BLOBS_URL": "file:///srv/our%20blobs"}
    )
    assert shared.blobs == FolderBlobStore(Path("/srv/our blobs"))
    world = {**home, "AUDITOR_BLOBS_URL": "s3://bucket/some/place", "AUDITOR_BLOBS_CACHE": "4096"}
    far = AuditorSettings.from_environment(world).blobs
    assert isinstance(far, BucketBlobStore)
    assert (far.name, far.root, far.cache.most) == (
        "s3://bucket/some/place", tmp_path / "blobs-cache", 4096,
    )  # fmt: skip
    with pytest.raises(UsageError, match="is not a number of bytes"):
        AuditorSettings.from_environment({**world, "AUDITOR_BLOBS_CACHE": "10G"})
