"""Archives that two readers take differently, that hide bytes, or that hold other archives."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.onnx.scan.archives import detect_file_kind, scan_non_onnx_file

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


class Runs:
    """Pickles to a call of ``os.system``; nothing here ever loads it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 1",)


PICKLED = pickle.dumps(Runs())


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return stream.getvalue()


class Unseekable(io.RawIOBase):
    """A stream of which a writer of archives cannot go back to fill sizes in."""

    def __init__(self) -> None:
        self.raw = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        added = bytes(memoryview(data))  # type: ignore[arg-type]  # whatever the writer brings
        self.raw += added
        return len(added)


def streamed(members: dict[str, bytes]) -> bytes:
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return stream.raw


def codes(raw: bytes, name: str = "m.zip") -> list[str]:
    return [item.code.value for item in scan_non_onnx_file(raw, name, detect_file_kind(raw, name))]


def patched(raw: bytes, at: int, value: bytes) -> bytes:
    return raw[:at] + value + raw[at + len(value) :]


PLAIN = zipped({"a.bin": b"weights", "b.bin": b"more weights"})


@pytest.mark.parametrize(
    "raw",
    [PLAIN, streamed({"a": b"1", "b": b"2"}), zipped({})],
    ids=["plain", "streamed", "empty"],  # the bytes hold the time, which no name of a test may
)
def test_an_archive_as_writers_make_it_is_clean(raw: bytes) -> None:
    assert codes(raw) == []


def test_a_member_under_another_name_in_its_own_header_is_found() -> None:
    found = codes(patched(PLAIN, PLAIN.index(b"a.bin"), b"x.bin"))
    assert "ARCHIVE_HEADERS" in found


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (8, b"\x00\x00"),  # stored, where the directory says deflated
        (6, b"\x01\x00"),  # encrypted
        (22, struct.pack("<I", 3)),  # another size
        (14, b"\0\0\0\0"),  # another checksum
    ],
)
def test_a_header_that_tells_another_story_than_the_directory_is_found(
    offset: int, value: bytes
) -> None:
    assert "ARCHIVE_HEADERS" in codes(patched(PLAIN, PLAIN.index(LOCAL) + offset, value))


def test_an_encrypted_member_is_found() -> None:
    raw = patched(PLAIN, PLAIN.index(LOCAL) + 6, b"\x01\x00")
    raw = patched(raw, raw.index(CENTRAL) + 8, b"\x01\x00")
    assert codes(raw) == ["ARCHIVE_ENCRYPTED"]


def test_members_that_share_bytes_are_found() -> None:
    """Two entries of the directory point at one member, as in bombs that overlap."""
    second = PLAIN.index(CENTRAL, PLAIN.index(CENTRAL) + 4)
    raw = patched(PLAIN, second + 42, struct.pack("<I", 0))
    assert "ARCHIVE_OVERLAP" in codes(raw)


def test_an_archive_that_swells_in_all_is_found() -> None:
    end = PLAIN.index(CENTRAL)
    raw = patched(PLAIN, end + 24, struct.pack("<I", 2**31))
    assert "ARCHIVE_BOMB" in codes(raw)


@pytest.mark.parametrize("name", ["a\0.bin", "C:/a", "a/../../b", "/a", "a\\b"])
def test_a_name_that_leads_elsewhere_is_found(name: str) -> None:
    raw = zipped({name.replace("\0", "%"): b"1"}).replace(b"a%.bin", b"a\0.bin")
    assert "ARCHIVE_PATH" in codes(raw)


def test_names_that_some_systems_take_for_one_are_found() -> None:
    assert codes(zipped({"Model.bin": b"1", "model.bin": b"2"})) == ["ARCHIVE_TWICE"]
    assert codes(zipped({"\u00e9": b"1", "e\u0301": b"2"})) == ["ARCHIVE_TWICE"]


def test_bytes_that_no_member_covers_are_found() -> None:
    assert codes(PLAIN + b"payload") == ["ARCHIVE_HIDDEN"]
    assert codes(b"payload" + PLAIN, "m.pt") == ["ARCHIVE_HIDDEN"]
    hidden = zipped({"a": b"1"})
    directory = hidden.index(CENTRAL)
    raw = hidden[:directory] + b"payload" + hidden[directory:]
    place = raw.index(b"PK\x05\x06") + 16
    raw = patched(raw, place, struct.pack("<I", directory + 7))
    assert codes(raw) == ["ARCHIVE_HIDDEN"]


def test_a_pickle_in_an_archive_in_an_archive_is_found() -> None:
    inner = zipped({"data.pkl": PICKLED})
    assert codes(zipped({"inner.pt": inner})) == ["PICKLE", "PICKLE_GLOBAL"]


def test_archives_without_end_are_not_followed() -> None:
    raw = zipped({"a": b"1"})
    for _ in range(5):
        raw = zipped({"a.zip": raw}, zipfile.ZIP_STORED)
    assert codes(raw) == ["ARCHIVE_NESTED"]


def test_code_of_torchscript_is_found() -> None:
    assert codes(zipped({"m/code/__torch__.py": b"def forward(self): ..."})) == ["SCRIPT"]


def tarred(*members: tuple[str, bytes, bytes], target: str = "") -> bytes:
    """A tar archive of members by name, kind and content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind, raw in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(raw), target
            archive.addfile(info, io.BytesIO(raw))
    return stream.getvalue()


FILE = tarfile.REGTYPE


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (tarred((".", tarfile.DIRTYPE, b""), ("./m/w.bin", FILE, b"weights")), []),
        (tarred(("../evil", FILE, b"1")), ["ARCHIVE_PATH"]),
        (tarred(("/evil", FILE, b"1")), ["ARCHIVE_PATH"]),
        (tarred(("a", FILE, b"1"), ("a", FILE, b"2")), ["ARCHIVE_TWICE"]),
        (tarred(("a", tarfile.SYMTYPE, b""), target="/etc/passwd"), ["ARCHIVE_LINK"]),
        (tarred(("a", tarfile.LNKTYPE, b""), target="/etc/passwd"), ["ARCHIVE_LINK"]),
        (tarred(("a", tarfile.FIFOTYPE, b"")), ["ARCHIVE_LINK"]),
        (tarred(("a.pkl", FILE, PICKLED)), ["PICKLE", "PICKLE_GLOBAL"]),
        (tarred(("a", FILE, b"1"))[:700], ["UNREADABLE"]),
    ],
)
def test_the_members_of_a_tar_archive_are_looked_at(raw: bytes, found: list[str]) -> None:
    assert codes(raw, "m.nemo") == found


def test_a_compressed_tar_archive_is_looked_into() -> None:
    raw = gzip.compress(tarred(("../a.pkl", FILE, PICKLED)))
    kinds = ["COMPRESSED", "ARCHIVE_PATH", "PICKLE", "PICKLE_GLOBAL"]
    assert codes(raw, "m.tar.gz") == kinds


TARRED = tarred(("m/a.pkl", FILE, PICKLED), ("b", tarfile.SYMTYPE, b""), target="a")


@given(st.integers(0, len(TARRED) - 1), st.binary(min_size=1, max_size=4))
def test_no_change_of_a_tar_archive_crashes_the_scan(at: int, value: bytes) -> None:
    codes(patched(TARRED, at, value))


PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("how", PACKS)
def test_a_pickle_in_a_compressed_file_is_found(how: str) -> None:
    assert codes(PACKS[how](PICKLED), "m.joblib") == ["COMPRESSED", "PICKLE", "PICKLE_GLOBAL"]


@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz"])
def test_a_second_stream_is_a_part_of_the_file(how: str) -> None:
    raw = PACKS[how](PICKLED[:9]) + PACKS[how](PICKLED[9:])
    assert codes(raw, "m.joblib") == ["COMPRESSED", "PICKLE", "PICKLE_GLOBAL"]


@pytest.mark.slow
def test_a_compressed_file_that_swells_is_not_unpacked() -> None:
    raw = bz2.compress(bytes(2**28 + 1))
    assert codes(raw, "m.bz2") == ["COMPRESSED", "ARCHIVE_BOMB"]


def test_a_compressed_file_that_ends_early_is_said_to() -> None:
    assert "UNREADABLE" in codes(gzip.compress(PICKLED)[:-12], "m.gz")


@given(st.integers(0, len(PLAIN) - 1), st.binary(min_size=1, max_size=4))
def test_no_change_of_an_archive_crashes_the_scan(at: int, value: bytes) -> None:
    codes(patched(PLAIN, at, value))
