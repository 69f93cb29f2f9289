"""Blobs: found by what they are, whole or refused."""

import hashlib
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import StoreError
from auditor.store.blobs import FolderBlobStore

ABSENT = f"sha256:{'0' * 64}"


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobStore:
    return FolderBlobStore(tmp_path / "home" / "blobs")


@given(raw=st.binary(max_size=200))
def test_what_is_put_comes_back_under_its_sha256(
    raw: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blobs = FolderBlobStore(tmp_path_factory.getbasetemp() / "law")
    digest = blobs.put(raw)
    assert digest == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert blobs.get(digest) == raw


def test_the_empty_blob_has_the_published_digest(blobs: FolderBlobStore) -> None:
    # FIPS 180-4, SHA-256 of the empty message.
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert blobs.put(b"") == empty
    assert blobs.path(empty) == blobs.root / "e3" / empty.removeprefix("sha256:")


def test_a_file_and_its_bytes_are_the_same_blob(blobs: FolderBlobStore, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights" * 400_000)
    digest = blobs.put_file(file)
    assert digest == blobs.put(file.read_bytes())
    assert blobs.get(digest) == file.read_bytes()


def test_a_blob_put_twice_is_stored_once(blobs: FolderBlobStore, tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_bytes(b"evidence")
    digest = blobs.put(b"evidence")
    first = blobs.path(digest).stat()
    assert blobs.put(b"evidence") == digest
    assert blobs.path(digest).stat().st_ino == first.st_ino
    blobs.put_file(file)
    assert [path.name for path in blobs.root.rglob("*") if path.is_file()] == [
        digest.removeprefix("sha256:")
    ]


def test_blobs_are_private_and_read_only(blobs: FolderBlobStore) -> None:
    digest = blobs.put(b"secret scores")
    assert stat.S_IMODE(blobs.path(digest).stat().st_mode) == 0o400
    assert stat.S_IMODE(blobs.root.stat().st_mode) == 0o700


def test_a_missing_blob_is_named(blobs: FolderBlobStore) -> None:
    assert not blobs.has(ABSENT)
    with pytest.raises(StoreError, match=ABSENT):
        blobs.get(ABSENT)
    with pytest.raises(StoreError, match=ABSENT):
        blobs.path(ABSENT)


def test_a_blob_with_one_flipped_bit_is_refused_and_named(blobs: FolderBlobStore) -> None:
    digest = blobs.put(b"evidence")
    path = blobs.path(digest)
    path.chmod(0o600)
    path.write_bytes(b"evidencd")
    with pytest.raises(StoreError, match=f"{digest} is damaged"):
        blobs.get(digest)


def test_putting_a_damaged_blob_again_heals_it(blobs: FolderBlobStore) -> None:
    digest = blobs.put(b"evidence")
    blobs.path(digest).chmod(0o600)
    blobs.path(digest).write_bytes(b"torn")
    blobs.put(b"evidence")
    assert blobs.get(digest) == b"evidence"


@pytest.mark.parametrize(
    "text", ["", "sha256:", "../../etc/passwd", f"sha256:{'A' * 64}", f"md5:{'0' * 64}", "0" * 64]
)
def test_what_is_no_digest_is_no_path(blobs: FolderBlobStore, text: str) -> None:
    for ask in (blobs.get, blobs.path, blobs.has):
        with pytest.raises(StoreError, match="is not a digest"):
            ask(text)


def test_a_file_that_cannot_be_read_is_named(blobs: FolderBlobStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"absent\.onnx cannot be read"):
        blobs.put_file(tmp_path / "absent.onnx")


def test_a_copy_that_fails_half_way_leaves_nothing(blobs: FolderBlobStore, tmp_path: Path) -> None:
    # Where a blob's folder should be there is a file, so the blob is written but cannot be placed.
    digest = hashlib.sha256(b"evidence").hexdigest()
    blobs.root.mkdir(parents=True)
    (blobs.root / digest[:2]).write_text("in the way")
    source = tmp_path / "source"
    source.write_bytes(b"evidence")
    with pytest.raises(StoreError):
        blobs.put_file(source)
    assert [path.name for path in blobs.root.iterdir()] == [digest[:2]]


def test_a_folder_that_cannot_be_made_is_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError) as caught:
        FolderBlobStore(tmp_path / "file" / "blobs").put(b"evidence")
    assert str(tmp_path) in caught.value.problem
    assert "AUDITOR_HOME" in caught.value.cure
