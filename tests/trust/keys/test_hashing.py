"""Hashing files where they lie: right at every size, and never half of two versions."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ArtifactError
from auditor.trust.artifacts.files import (
    digest_artifact,
    find_artifact_files,
    hash_parts,
    measure_artifact,
    open_main_file,
    refuse_changed_files,
    stage_artifact,
)
from auditor.trust.artifacts.hash import CHUNK, LEAST_MAPPED, map_file, new_hasher, read_file_views
from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation

CONTENT = bytes(range(251)) * (3 * LEAST_MAPPED // 251)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "weights.bin"
    path.write_bytes(CONTENT)
    return path


@given(
    start=st.integers(0, len(CONTENT)),
    length=st.sampled_from([0, 1, 4095, CHUNK, LEAST_MAPPED - 1, LEAST_MAPPED, 2 * LEAST_MAPPED]),
)
def test_a_range_hashes_to_what_its_bytes_do(large: Path, start: int, length: int) -> None:
    end = min(start + length, len(CONTENT))
    hasher = new_hasher(HashAlgorithm.SHA256)
    with opened(large) as descriptor:
        for view in read_file_views(descriptor, start, end):
            assert len(view), "every view shows something"
            hasher.update(view)
    assert hasher.hexdigest() == hashlib.sha256(CONTENT[start:end]).hexdigest()


@pytest.mark.parametrize("kind", HashAlgorithm)
def test_each_hash_is_the_one_that_its_name_says(kind: HashAlgorithm, large: Path) -> None:
    known = {
        HashAlgorithm.SHA256: hashlib.sha256(CONTENT).hexdigest(),
        HashAlgorithm.BLAKE2B: hashlib.blake2b(CONTENT).hexdigest(),
        HashAlgorithm.BLAKE3: blake3(CONTENT).hexdigest(),
    }
    measured = measure_artifact(large, ModelSerialisation(kind))
    assert measured.digests == {"weights.bin": known[kind]}


def test_a_file_that_somebody_writes_to_is_hashed_all_the_same(large: Path) -> None:
    # No lease is given while it is open for writing, so it is read instead of mapped.
    with large.open("r+b"):
        (found,) = digest_artifact(large)
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_writer_waits_for_no_more_than_the_window_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(CONTENT)
    done = threading.Event()

    def write() -> None:
        with path.open("r+b") as file:
            file.write(b"x")
        done.set()

    writer = threading.Thread(target=write)
    hasher = new_hasher(HashAlgorithm.SHA256)
    with opened(path) as descriptor:
        before = os.fstat(descriptor)
        with map_file(descriptor, len(CONTENT)) as view:
            writer.start()
            assert not done.wait(0.2), "the lease holds the writer back"
            hasher.update(view)
        assert done.wait(120), "and lets go of it"
        assert os.fstat(descriptor).st_mtime_ns != before.st_mtime_ns
    writer.join()
    assert hasher.hexdigest() == hashlib.sha256(CONTENT).hexdigest()


def test_a_file_cut_short_while_it_is_read_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(CONTENT)
    with opened(path) as descriptor:
        os.truncate(path, 10)
        with pytest.raises(OSError, match="shorter"):
            list(read_file_views(descriptor, 0, len(CONTENT)))
        with map_file(descriptor, len(CONTENT)) as view:
            assert len(view) == 10


def change(path: Path, content: bytes) -> None:
    """Change a file so that its size and the time that people see stay the same."""
    before = path.stat()
    time.sleep(0.01)  # the kernel's clock for files moves in steps of a few milliseconds
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_file(path: Path) -> None:
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").rename(path)


CHANGES = {
    "another content, with size and time put back": lambda path: change(path, b"B" * 9),
    "another size": lambda path: path.write_bytes(b"longer content"),
    "the same content in another file": replace_file,
    "a link": lambda path: (path.unlink(), path.symlink_to("b.bin")),
    "nothing": lambda path: path.unlink(),
    "one file more": lambda path: path.with_name("planted.py").touch(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "a.bin").write_bytes(b"A" * 9)
    (made / "b.bin").write_bytes(b"b")
    return made


@pytest.mark.parametrize("what", CHANGES)
def test_a_folder_that_changes_between_finding_and_the_end_is_refused(
    what: str, folder: Path
) -> None:
    tree = find_artifact_files(folder)
    refuse_changed_files(tree)
    CHANGES[what](folder / "a.bin")
    with pytest.raises(ArtifactError, match="changed while it was read"):
        refuse_changed_files(tree)


@pytest.mark.parametrize("what", ["another content, with size and time put back", "another size"])
def test_a_file_that_changes_before_it_is_hashed_is_refused(what: str, folder: Path) -> None:
    tree = find_artifact_files(folder)
    CHANGES[what](folder / "a.bin")
    with pytest.raises(ArtifactError, match=r"a\.bin changed while it was read"):
        hash_parts(tree, ModelSerialisation().parts(tree.sizes), HashAlgorithm.SHA256)


def test_a_file_that_changes_while_it_is_hashed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(CONTENT)
    tree = find_artifact_files(path)

    def meddle(count: int) -> None:
        os.utime(path)

    with pytest.raises(ArtifactError, match="changed while it was read"):
        hash_parts(tree, ModelSerialisation().parts(tree.sizes), HashAlgorithm.SHA256, meddle)


def test_many_large_files_hashed_at_once_give_what_each_one_gives(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.bin").write_bytes(CONTENT[number:])
    told: list[int] = []
    how = ModelSerialisation(HashAlgorithm.SHA256, LEAST_MAPPED + 12_345)
    sharded = measure_artifact(folder, how, advance=told.append)
    assert sum(told) == sum(sharded.sizes.values())
    for part in how.parts(sharded.sizes):
        raw = (folder / part.name).read_bytes()[part.start : part.end]
        assert sharded.digests[part.label] == hashlib.sha256(raw).hexdigest()
    whole = {item.name: item.sha256 for item in digest_artifact(folder)}
    assert whole == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }


def test_an_opened_file_stays_the_same_one_whatever_its_name_comes_to_mean(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"first")
    with open_main_file(path) as main:
        path.unlink()
        path.write_bytes(b"second")
        assert os.pread(main.descriptor, 10, 0) == b"first"


def test_a_file_that_changes_while_it_is_copied_is_not_staged(tmp_path: Path) -> None:
    path, copy = tmp_path / "m.bin", tmp_path / "copy"
    copy.mkdir()
    path.write_bytes(CONTENT * 8)
    begun, over = threading.Event(), threading.Event()

    def meddle() -> None:
        moment = 1
        while not over.is_set():
            os.utime(path, ns=(moment, moment))
            moment += 1
            begun.set()

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        assert begun.wait(120)
        with pytest.raises(ArtifactError, match="changed while it was read"):
            stage_artifact(path, copy)
    finally:
        over.set()
        meddler.join()
