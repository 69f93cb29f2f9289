"""Streams that several threads draw from one queue: each is hashed once, and closed at the end."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ArtifactError, CancelledError
from auditor.trust.artifacts.files import digest_artifact, find_artifact_files, hash_parts
from auditor.trust.artifacts.hash import LEAST_MAPPED, Views, hash_streams, new_hasher
from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation

CONTENT = np.random.default_rng(7).bytes(1000)
SHA256 = partial(new_hasher, HashAlgorithm.SHA256)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def streams(contents: Sequence[bytes], piece: int) -> deque[tuple[str, Callable[[], Views]]]:
    """Return streams that show their bytes in pieces, with their numbers as labels."""

    def shown(content: bytes) -> Views:
        for start in range(0, len(content), piece):
            with memoryview(content)[start : start + piece] as view:
                yield view

    return deque((str(at), partial(shown, content)) for at, content in enumerate(contents))


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 100))
def test_streams_of_any_number_and_length_are_each_hashed_once(
    contents: list[bytes], piece: int
) -> None:
    told: list[int] = []
    digests = hash_streams(streams(contents, piece), SHA256, told.append)
    assert digests == {str(at): sha256(content) for at, content in enumerate(contents)}
    assert sum(told) == sum(map(len, contents))


def test_threads_that_draw_from_one_queue_hash_every_stream_once() -> None:
    contents = [CONTENT[:length] * 100 for length in range(0, 1000, 10)]
    waiting = streams(contents, 4096)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: hash_streams(waiting, SHA256, lambda _: None), range(4)))
    assert sum(map(len, parts)) == len(contents)
    found = {label: digest for part in parts for label, digest in part.items()}
    assert found == {str(at): sha256(content) for at, content in enumerate(contents)}


def test_whatever_ends_the_hashing_closes_what_was_begun() -> None:
    closed: list[bytes] = []

    def endless(name: bytes) -> Views:
        try:
            while True:
                yield memoryview(name)
        finally:
            closed.append(name)

    def stop(_: int) -> None:
        raise CancelledError("stopped", cure="Go on.")

    waiting = deque((it.decode(), partial(endless, it)) for it in (b"a", b"b"))
    with pytest.raises(CancelledError):
        hash_streams(waiting, SHA256, stop)
    assert closed == [b"a"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a model of files that are read and such that are mapped, of different lengths."""
    folder = tmp_path / "model"
    folder.mkdir()
    for at, size in enumerate([0, 1, 4096, LEAST_MAPPED + 1, 3 * LEAST_MAPPED, LEAST_MAPPED, 65]):
        (folder / f"{at}.bin").write_bytes(np.random.default_rng(at).bytes(size))
    return folder


def test_a_models_digests_are_those_of_its_files(model: Path) -> None:
    here = {found.name: found.sha256 for found in digest_artifact(model)}
    assert here == {path.name: sha256(path.read_bytes()) for path in model.iterdir()}


def test_a_file_that_changes_beside_another_one_is_refused(model: Path) -> None:
    tree = find_artifact_files(model)

    def meddle(_: int) -> None:
        os.utime(model / "3.bin")

    with pytest.raises(ArtifactError, match=r"3\.bin changed while it was read"):
        hash_parts(tree, ModelSerialisation().parts(tree.sizes), HashAlgorithm.SHA256, meddle)
