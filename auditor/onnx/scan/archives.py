"""Safety scan of files other than ONNX: pickles, archives and compressed streams.

Files are identified by their first bytes and never loaded. Streams are unpacked within bounds.
"""

import bz2
import io
import lzma
import re
import tarfile
import tokenize
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from auditor.onnx.scan.paths import path_inside_folder
from auditor.onnx.scan.pickles import looks_like_pickle, scan_pickle, starts_like_pickle
from auditor.onnx.scan.unsafe_entries import UnsafeCode, UnsafeEntry, printable_excerpt
from auditor.onnx.scan.zips import (
    END,
    MOST_END,
    MOST_MEMBER,
    MOST_RATIO,
    ZipMember,
    open_zip_members,
)

MOST_UNPACKED = 2**28
"""The most bytes that are unpacked of one stream."""
MEMORY = 2**27
"""What the decoder of xz may hold: its largest preset asks for 65 MiB."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


STREAMS: Mapping[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zlib": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=MEMORY),
}


MOST_STREAMS = 1000
"""Several streams in a row are one file for those who unpack it."""


@dataclass(frozen=True, slots=True)
class UnpackedStream:
    """What a file held, whether it goes on, and whether it ends early."""

    raw: bytes
    more: bool
    cut: bool


def unpack_stream(raw: bytes, kind: str) -> UnpackedStream:
    """Unpack the first ``MOST_UNPACKED`` bytes of a file; one that is broken ends early."""
    found, rest = bytearray(), raw
    for _ in range(MOST_STREAMS):
        stream = STREAMS[kind]()
        try:
            found += stream.decompress(rest, MOST_UNPACKED - len(found))
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError):
            # What follows the first stream may be anything: those who load it stop there too.
            return UnpackedStream(bytes(found), more=False, cut=rest is raw)
        if len(found) >= MOST_UNPACKED:
            return UnpackedStream(bytes(found), more=True, cut=False)
        if not stream.eof or not stream.unused_data:
            return UnpackedStream(bytes(found), more=False, cut=not stream.eof)
        rest = stream.unused_data
    return UnpackedStream(bytes(found), more=True, cut=False)


MAGIC, MAGIC_AT = b"ustar", 257
MOST_MEMBERS = 100_000
_BROKEN = (tarfile.TarError, zlib.error, ValueError, OverflowError, OSError, EOFError, KeyError)


def open_tar(raw: bytes, where: str) -> Iterator[UnsafeEntry | ZipMember]:
    """Yield what is wrong with an archive, and each member that is a plain file."""
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            seen: set[str] = set()
            for count, member in enumerate(archive):
                if count >= MOST_MEMBERS:
                    what = f"more than {MOST_MEMBERS} members"
                    yield UnsafeEntry(UnsafeCode.UNREADABLE, where, what)
                    return
                place = f"{where}!{printable_excerpt(member.name)}"
                plain = member.name.removeprefix("./").removesuffix("/")
                if path_inside_folder(plain) is None and not (
                    member.isdir() and plain in {"", "."}
                ):
                    yield UnsafeEntry(
                        UnsafeCode.ARCHIVE_PATH, place, "unpacks outside the folder chosen for it"
                    )
                if member.name in seen:
                    to_what = "stands twice: readers differ in which counts"
                    yield UnsafeEntry(UnsafeCode.ARCHIVE_TWICE, place, to_what)
                if member.issym() or member.islnk():
                    to_what = f"unpacks as a link to {printable_excerpt(member.linkname)}"
                    yield UnsafeEntry(UnsafeCode.ARCHIVE_LINK, place, to_what)
                elif not member.isfile() and not member.isdir():
                    yield UnsafeEntry(
                        UnsafeCode.ARCHIVE_LINK, place, "unpacks as a device or a pipe"
                    )
                seen.add(member.name)
                yield from _open(archive, member, place)
    except _BROKEN as error:
        yield UnsafeEntry(
            UnsafeCode.UNREADABLE, where, f"a malformed tar archive: {printable_excerpt(error)}"
        )


def _open(
    archive: tarfile.TarFile, member: tarfile.TarInfo, place: str
) -> Iterator[UnsafeEntry | ZipMember]:
    if not member.isfile():
        return
    if member.issparse():
        yield UnsafeEntry(UnsafeCode.UNREADABLE, place, f"a sparse file of {member.size} bytes")
        return
    with archive.extractfile(member) or io.BytesIO() as file:
        yield ZipMember(member.name, place, file.read(MOST_MEMBER))


MOST_DEPTH = 3
PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".pt", ".pth", ".npz", ".keras"})
_BROKEN_ARRAY = (ValueError, TypeError, SyntaxError, EOFError, OverflowError, tokenize.TokenError)
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"Lambda"')
_HEADS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "npy"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")


def detect_file_kind(raw: bytes, name: str) -> str:
    """Return what a file is: ``zip``, ``tar``, ``hdf5``, ``npy``, ``pickle``, a compression..."""
    for head, kind in _HEADS:
        if raw.startswith(head):
            return kind
    suffix = Path(name).suffix.lower()
    if suffix in PICKLE_SUFFIXES and raw.startswith(_ZLIB):
        return "zlib"
    # Pickles of protocol 0 and 1 have no head, so that the name has to tell.
    if looks_like_pickle(raw) or suffix in PICKLE_SUFFIXES:
        return "pickle"
    if suffix in ARCHIVE_SUFFIXES and END in raw[-MOST_END:]:
        return "zip"  # readers look for its end, whatever stands before it
    if raw[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC:
        return "tar"
    if raw[4:8] == b"TFL3":
        return "tflite"
    if raw[8:9] == b"{" and int.from_bytes(raw[:8], "little") <= len(raw):
        return "safetensors"
    return "unknown"


def scan_non_onnx_file(
    raw: bytes, where: str, kind: str, depth: int = 0
) -> tuple[UnsafeEntry, ...]:
    """Say what a file that is no ONNX model may do on loading.

    What is packed is looked into; ``depth`` says inside how many archives the file lies.
    """
    if kind in STREAMS:
        return tuple(_scan_compressed(raw, where, kind, depth))
    if kind in _PACKED:
        return tuple(_scan_members(raw, where, kind, depth))
    scan = _SCANS.get(kind)
    return () if scan is None else tuple(scan(raw, where))


def _scan_hdf5(raw: bytes, where: str) -> Iterator[UnsafeEntry]:
    if _LAMBDA.search(raw):
        yield UnsafeEntry(
            UnsafeCode.LAMBDA_LAYER, where, "a Keras Lambda layer, which holds Python code"
        )


def _scan_npy(raw: bytes, where: str) -> Iterator[UnsafeEntry]:
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        dtype = read(stream)[2]
    except _BROKEN_ARRAY as error:
        yield UnsafeEntry(
            UnsafeCode.UNREADABLE, where, f"a malformed npy file: {printable_excerpt(error)}"
        )
        return
    if dtype.hasobject:
        yield UnsafeEntry(
            UnsafeCode.OBJECT_ARRAY, where, "an array of Python objects, kept as a pickle"
        )
        yield from scan_pickle(stream.read(), where)


def _scan_members(raw: bytes, where: str, kind: str, depth: int) -> Iterator[UnsafeEntry]:
    if depth >= MOST_DEPTH:
        what = f"archives inside archives, more than {MOST_DEPTH} deep"
        yield UnsafeEntry(UnsafeCode.ARCHIVE_NESTED, where, what)
        return
    for item in _PACKED[kind](raw, where):
        if isinstance(item, UnsafeEntry):
            yield item
        elif _LAMBDA.search(item.raw):
            what = "a Keras Lambda layer, which holds Python code"
            yield UnsafeEntry(UnsafeCode.LAMBDA_LAYER, item.place, what)
        else:
            yield from scan_non_onnx_file(
                item.raw, item.place, detect_file_kind(item.raw, item.name), depth + 1
            )


def _scan_compressed(raw: bytes, where: str, kind: str, depth: int) -> Iterator[UnsafeEntry]:
    what = f"a {kind} stream, whose content is only seen by those who load it"
    yield UnsafeEntry(UnsafeCode.COMPRESSED, where, what)
    place = f"{where}!{kind}"
    if depth >= MOST_DEPTH:
        what = f"archives inside archives, more than {MOST_DEPTH} deep"
        yield UnsafeEntry(UnsafeCode.ARCHIVE_NESTED, place, what)
        return
    found = unpack_stream(raw, kind)
    if found.more and len(found.raw) > MOST_RATIO * len(raw):
        yield UnsafeEntry(UnsafeCode.ARCHIVE_BOMB, place, f"unpacks to over {len(found.raw)} bytes")
        return
    if found.more or (found.cut and found.raw):
        what = "ends early" if found.cut else f"goes on after {len(found.raw)} bytes"
        yield UnsafeEntry(UnsafeCode.UNREADABLE, place, what)
    yield from scan_non_onnx_file(found.raw, place, _kind_unpacked(found.raw), depth + 1)


def _kind_unpacked(raw: bytes) -> str:
    """Return what a stream holds; it has no name, and joblib writes pickles into it."""
    kind = detect_file_kind(raw, "")
    return "pickle" if kind == "unknown" and starts_like_pickle(raw) else kind


_PACKED: Mapping[str, Callable[[bytes, str], Iterator[UnsafeEntry | ZipMember]]] = {
    "zip": open_zip_members,
    "tar": open_tar,
}
_SCANS: Mapping[str, Callable[[bytes, str], Iterator[UnsafeEntry]]] = {
    "pickle": scan_pickle,
    "npy": _scan_npy,
    "hdf5": _scan_hdf5,
}
