"""Files that are no ONNX model: told apart by their first bytes, and read without loading them."""

import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from auditor.scanning.pickles import looks_like_pickle, scan_pickle, starts_like_pickle
from auditor.scanning.streams import STREAMS, unpack
from auditor.scanning.tars import MAGIC, MAGIC_AT, open_tar
from auditor.scanning.unsafe import Unsafe, UnsafeCode, shown
from auditor.scanning.zips import END, MOST_END, MOST_RATIO, Member, open_members

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


def kind_of(raw: bytes, name: str) -> str:
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


def scan_other(raw: bytes, where: str, kind: str, depth: int = 0) -> tuple[Unsafe, ...]:
    """Say what a file that is no ONNX model may do on loading.

    What is packed is looked into; ``depth`` says inside how many archives the file lies.
    """
    if kind in STREAMS:
        return tuple(_scan_compressed(raw, where, kind, depth))
    if kind in _PACKED:
        return tuple(_scan_members(raw, where, kind, depth))
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


def _scan_members(raw: bytes, where: str, kind: str, depth: int) -> Iterator[Unsafe]:
    if depth >= MOST_DEPTH:
        what = f"archives inside archives, more than {MOST_DEPTH} deep"
        yield Unsafe(UnsafeCode.ARCHIVE_NESTED, where, what)
        return
    for item in _PACKED[kind](raw, where):
        if isinstance(item, Unsafe):
            yield item
        elif _LAMBDA.search(item.raw):
            what = "a Keras Lambda layer, which holds Python code"
            yield Unsafe(UnsafeCode.LAMBDA_LAYER, item.place, what)
        else:
            yield from scan_other(item.raw, item.place, kind_of(item.raw, item.name), depth + 1)


def _scan_compressed(raw: bytes, where: str, kind: str, depth: int) -> Iterator[Unsafe]:
    what = f"a {kind} stream, whose content is only seen by those who load it"
    yield Unsafe(UnsafeCode.COMPRESSED, where, what)
    place = f"{where}!{kind}"
    if depth >= MOST_DEPTH:
        what = f"archives inside archives, more than {MOST_DEPTH} deep"
        yield Unsafe(UnsafeCode.ARCHIVE_NESTED, place, what)
        return
    found = unpack(raw, kind)
    if found.more and len(found.raw) > MOST_RATIO * len(raw):
        yield Unsafe(UnsafeCode.ARCHIVE_BOMB, place, f"unpacks to over {len(found.raw)} bytes")
        return
    if found.more or (found.cut and found.raw):
        what = "ends early" if found.cut else f"goes on after {len(found.raw)} bytes"
        yield Unsafe(UnsafeCode.UNREADABLE, place, what)
    yield from scan_other(found.raw, place, _kind_unpacked(found.raw), depth + 1)


def _kind_unpacked(raw: bytes) -> str:
    """Return what a stream holds; it has no name, and joblib writes pickles into it."""
    kind = kind_of(raw, "")
    return "pickle" if kind == "unknown" and starts_like_pickle(raw) else kind


_PACKED: Mapping[str, Callable[[bytes, str], Iterator[Unsafe | Member]]] = {
    "zip": open_members,
    "tar": open_tar,
}
_SCANS: Mapping[str, Callable[[bytes, str], Iterator[Unsafe]]] = {
    "pickle": scan_pickle,
    "npy": _scan_npy,
    "hdf5": _scan_hdf5,
}
