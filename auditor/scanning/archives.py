"""Files that are no ONNX model: told apart by their first bytes, and read without loading them."""

import io
import lzma
import re
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from auditor.scanning.paths import inside
from auditor.scanning.pickles import looks_like_pickle, scan_pickle
from auditor.scanning.unsafe import Unsafe, UnsafeCode, shown

MOST_MEMBER = 2**30
"""The most bytes of one archive member, or of one pickle, that are read."""
MOST_RATIO = 1000
"""Deflate cannot do better than 1032:1, and weights come nowhere near."""
PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib"})
_ENCRYPTED = 0x1
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
)
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
_COMPRESSED = frozenset({"gzip", "bzip2", "xz", "zlib"})
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")


def kind_of(raw: bytes, name: str) -> str:
    """Return what a file is: ``zip``, ``hdf5``, ``npy``, ``pickle``, a compression, ``unknown``."""
    for head, kind in _HEADS:
        if raw.startswith(head):
            return kind
    suffix = Path(name).suffix.lower()
    if suffix in PICKLE_SUFFIXES and raw.startswith(_ZLIB):
        return "zlib"
    # Pickles of protocol 0 and 1 have no head, so that the name has to tell.
    if looks_like_pickle(raw) or suffix in PICKLE_SUFFIXES:
        return "pickle"
    if raw[4:8] == b"TFL3":
        return "tflite"
    if raw[8:9] == b"{" and int.from_bytes(raw[:8], "little") <= len(raw):
        return "safetensors"
    return "unknown"


def scan_other(raw: bytes, where: str, kind: str) -> tuple[Unsafe, ...]:
    """Say what a file that is no ONNX model may do on loading."""
    if kind in _COMPRESSED:
        what = f"a {kind} stream, whose content is only seen by those who load it"
        return (Unsafe(UnsafeCode.COMPRESSED, where, what),)
    scan = _SCANS.get(kind)
    return () if scan is None else tuple(scan(raw, where))


def _scan_hdf5(raw: bytes, where: str) -> Iterator[Unsafe]:
    if _LAMBDA.search(raw):
        yield Unsafe(
            UnsafeCode.LAMBDA_LAYER, where, "a Keras Lambda layer, which holds Python code"
        )


def _scan_npy(raw: bytes, where: str) -> Iterator[Unsafe]:
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        dtype = read(stream)[2]
    except _BROKEN_ARRAY as error:
        yield Unsafe(UnsafeCode.UNREADABLE, where, f"a malformed npy file: {shown(error)}")
        return
    if dtype.hasobject:
        yield Unsafe(UnsafeCode.OBJECT_ARRAY, where, "an array of Python objects, kept as a pickle")
        yield from scan_pickle(stream.read(), where)


def _scan_zip(raw: bytes, where: str) -> Iterator[Unsafe]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            seen: set[str] = set()
            for member in archive.infolist():
                place = f"{where}!{shown(member.filename)}"
                yield from _object_to_member(member, place, seen)
                seen.add(member.filename)
                yield from _scan_member(archive, member, place)
    except _BROKEN_ARCHIVE as error:
        yield Unsafe(UnsafeCode.UNREADABLE, where, f"a malformed zip archive: {shown(error)}")


def _object_to_member(member: zipfile.ZipInfo, place: str, seen: set[str]) -> Iterator[Unsafe]:
    if inside(member.filename.removesuffix("/")) is None:
        yield Unsafe(UnsafeCode.ARCHIVE_PATH, place, "unpacks outside the folder chosen for it")
    if member.filename in seen:
        yield Unsafe(
            UnsafeCode.ARCHIVE_TWICE, place, "stands twice: readers differ in which counts"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        yield Unsafe(UnsafeCode.ARCHIVE_LINK, place, "unpacks as a symbolic link")


def _scan_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> Iterator[Unsafe]:
    if member.flag_bits & _ENCRYPTED:
        yield Unsafe(UnsafeCode.UNREADABLE, place, "is encrypted")
        return
    if member.file_size > MOST_RATIO * max(member.compress_size, 1):
        yield Unsafe(UnsafeCode.ARCHIVE_BOMB, place, f"unpacks to {member.file_size} bytes")
        return
    try:
        with archive.open(member) as file:
            raw = file.read(MOST_MEMBER)
    except _BROKEN_ARCHIVE as error:
        yield Unsafe(UnsafeCode.UNREADABLE, place, f"cannot be unpacked: {shown(error)}")
        return
    if _LAMBDA.search(raw):
        yield Unsafe(
            UnsafeCode.LAMBDA_LAYER, place, "a Keras Lambda layer, which holds Python code"
        )
        return
    kind = kind_of(raw, member.filename)
    if kind != "zip":  # an archive inside an archive is not a model's way to keep weights
        yield from scan_other(raw, place, kind)


_SCANS: Mapping[str, Callable[[bytes, str], Iterator[Unsafe]]] = {
    "pickle": scan_pickle,
    "zip": _scan_zip,
    "npy": _scan_npy,
    "hdf5": _scan_hdf5,
}
