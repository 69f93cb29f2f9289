"""Two streams of SHA-256 at once: the same digests as one by one, on any machine."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ArtifactError, CancelledError
from auditor.trust.artifacts.files import digest_artifact, find_artifact_files, hash_parts
from auditor.trust.artifacts.hash import (
    LEAST_MAPPED,
    PAIRED,
    HashMethod,
    Views,
    build_paired_sha256,
    new_hasher,
)
from auditor.trust.signatures.serialisations import HashAlgorithm, ModelSerialisation

EDGES = (0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1000)
CONTENT = np.random.default_rng(7).bytes(max(EDGES) + 64)
ALONE: HashMethod[Any] = HashMethod(partial(new_hasher, HashAlgorithm.SHA256))
"""How the same is done without the module."""

needs_lanes = pytest.mark.skipif(not PAIRED, reason="the module is not built, or of no use here")


def pair() -> HashMethod[Any]:
    """Return the method of the module."""
    found = build_paired_sha256()
    assert found is not None
    assert found.both is not None
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_where_it_can_be_built_it_is() -> None:
    # Else the speed that we tell of would be lost one day, and no test would say so.
    cpu = Path("/proc/cpuinfo")
    able = (
        platform.machine() == "x86_64"
        and cpu.is_file()
        and "sha_ni" in cpu.read_text().split()
        and shutil.which("cc") is not None
        and Path(sysconfig.get_path("include"), "Python.h").is_file()
    )
    if os.environ.get("AUDITOR_REQUIRE_SERVICES") != "1" or not able:
        pytest.skip("nobody promised a compiler and a processor that knows SHA-256")
    assert PAIRED, "auditor/signing/_lanes.c was not compiled; see what pip install -e . -v says"


@needs_lanes
@pytest.mark.parametrize("first", EDGES)
def test_two_lanes_of_any_lengths_give_the_digests_of_each(first: int) -> None:
    method = pair()
    for second in EDGES:
        one, other = method.make(), method.make()
        method.both(one, CONTENT[:first], other, CONTENT[64 : 64 + second])
        assert one.hexdigest() == sha256(CONTENT[:first])
        assert other.hexdigest() == sha256(CONTENT[64 : 64 + second])


STEPS = st.lists(st.tuples(st.sampled_from(["one", "other", "both"]), st.binary(max_size=200)))


@needs_lanes
@given(STEPS, st.binary(max_size=200))
def test_bytes_may_come_in_any_pieces_to_both_or_to_either(
    steps: Sequence[tuple[str, bytes]], more: bytes
) -> None:
    method = pair()
    hashers, taken = (method.make(), method.make()), [b"", b""]
    for where, data in steps:
        if where == "both":
            method.both(hashers[0], data, hashers[1], more)
            taken = [taken[0] + data, taken[1] + more]
        else:
            lane = int(where == "other")
            hashers[lane].update(data)
            taken[lane] += data
        assert [it.hexdigest() for it in hashers] == list(map(sha256, taken))


@needs_lanes
def test_one_hasher_is_not_in_two_lanes() -> None:
    method = pair()
    hasher = method.make()
    with pytest.raises(RuntimeError, match="one caller at a time"):
        method.both(hasher, b"a", hasher, b"b")
    hasher.update(b"c")
    assert hasher.hexdigest() == sha256(b"c"), "and is as it was"


@needs_lanes
@pytest.mark.parametrize("wrong", ["text", 1, None, memoryview(b"abcd")[::2]])
def test_what_is_no_run_of_bytes_is_refused(wrong: object) -> None:
    method = pair()
    one, other = method.make(), method.make()
    with pytest.raises((TypeError, BufferError)):
        one.update(wrong)
    with pytest.raises((TypeError, BufferError)):
        method.both(one, b"", other, wrong)
    with pytest.raises(TypeError):
        method.both(one, b"", hashlib.sha256(), b"")
    assert one.hexdigest() == other.hexdigest() == sha256(b"")


@needs_lanes
def test_a_hasher_that_another_thread_feeds_is_refused_or_waited_for() -> None:
    hasher, data = pair().make(), bytes(4 * 2**20)

    def feed(_: int) -> int:
        try:
            hasher.update(data)
        except RuntimeError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        taken = sum(pool.map(feed, range(16)))
    assert taken >= 1
    assert hasher.hexdigest() == sha256(data * taken)


def streams(contents: Sequence[bytes], piece: int) -> deque[tuple[str, Callable[[], Views]]]:
    """Return streams that show their bytes in pieces, with their numbers as labels."""

    def shown(content: bytes) -> Views:
        for start in range(0, len(content), piece):
            with memoryview(content)[start : start + piece] as view:
                yield view

    return deque((str(at), partial(shown, content)) for at, content in enumerate(contents))


def ways() -> list[Any]:
    return [
        pytest.param(ALONE, id="alone"),
        pytest.param(build_paired_sha256(), id="paired", marks=needs_lanes),
    ]


@pytest.mark.parametrize("method", ways())
@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 100))
def test_streams_of_any_number_and_length_are_each_hashed_once(
    method: HashMethod[Any], contents: list[bytes], piece: int
) -> None:
    told: list[int] = []
    digests = method.hash(streams(contents, piece), told.append)
    assert digests == {str(at): sha256(content) for at, content in enumerate(contents)}
    assert sum(told) == sum(map(len, contents))


@pytest.mark.parametrize("method", ways())
def test_threads_that_draw_from_one_queue_hash_every_stream_once(method: HashMethod[Any]) -> None:
    contents = [CONTENT[:length] * 100 for length in range(0, 1000, 10)]
    waiting = streams(contents, 4096)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: method.hash(waiting, lambda _: None), range(4)))
    assert sum(map(len, parts)) == len(contents)
    found = {label: digest for part in parts for label, digest in part.items()}
    assert found == {str(at): sha256(content) for at, content in enumerate(contents)}


@pytest.mark.parametrize("method", ways())
def test_whatever_ends_the_hashing_closes_what_was_begun(method: HashMethod[Any]) -> None:
    closed: list[bytes] = []

    def endless(name: bytes) -> Views:
        try:
            while True:
                yield memoryview(name)
        finally:
            closed.append(name)

    def stop(_: int) -> None:
        raise CancelledError("stopped", cure="Go on.")

    begun = [b"a", b"b"][: method.streams]
    with pytest.raises(CancelledError):
        method.hash(deque((it.decode(), partial(endless, it)) for it in begun), stop)
    assert closed == begun


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a model of files that are read and such that are mapped, of different lengths."""
    folder = tmp_path / "model"
    folder.mkdir()
    for at, size in enumerate([0, 1, 4096, LEAST_MAPPED + 1, 3 * LEAST_MAPPED, LEAST_MAPPED, 65]):
        (folder / f"{at}.bin").write_bytes(np.random.default_rng(at).bytes(size))
    return folder


def test_a_model_has_the_same_digests_with_and_without_the_module(model: Path) -> None:
    here = {found.name: found.sha256 for found in digest_artifact(model)}
    assert here == {path.name: sha256(path.read_bytes()) for path in model.iterdir()}
    script = """
import sys
from pathlib import Path
sys.modules["auditor.signing._lanes"] = None
from auditor.trust.artifacts.files import digest_artifact
from auditor.trust.artifacts.hash import PAIRED
assert not PAIRED
for found in digest_artifact(Path(sys.argv[1])):
    print(found.name, found.sha256)
"""
    told = subprocess.run(
        [sys.executable, "-c", script, model], capture_output=True, text=True, check=True
    )
    assert dict(line.split() for line in told.stdout.splitlines()) == here


def test_a_file_that_changes_beside_another_one_is_refused(model: Path) -> None:
    tree = find_artifact_files(model)

    def meddle(_: int) -> None:
        os.utime(model / "3.bin")

    with pytest.raises(ArtifactError, match=r"3\.bin changed while it was read"):
        hash_parts(tree, ModelSerialisation().parts(tree.sizes), HashAlgorithm.SHA256, meddle)
