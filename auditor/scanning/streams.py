"""Compressed streams, unpacked within bounds to see what they hold."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

MOST_UNPACKED = 2**28
"""The most bytes that are unpacked of one stream."""
MEMORY = 2**27
"""What the decoder of xz may hold: its largest preset asks for 65 MiB."""


class _Unpacks(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


STREAMS: Mapping[str, Callable[[], _Unpacks]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zlib": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=MEMORY),
}


MOST_STREAMS = 1000
"""Several streams in a row are one file for those who unpack it."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a file held, whether it goes on, and whether it ends early."""

    raw: bytes
    more: bool
    cut: bool


def unpack(raw: bytes, kind: str) -> Unpacked:
    """Unpack the first ``MOST_UNPACKED`` bytes of a file; one that is broken ends early."""
    found, rest = bytearray(), raw
    for _ in range(MOST_STREAMS):
        stream = STREAMS[kind]()
        try:
            found += stream.decompress(rest, MOST_UNPACKED - len(found))
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError):
            # What follows the first stream may be anything: those who load it stop there too.
            return Unpacked(bytes(found), more=False, cut=rest is raw)
        if len(found) >= MOST_UNPACKED:
            return Unpacked(bytes(found), more=True, cut=False)
        if not stream.eof or not stream.unused_data:
            return Unpacked(bytes(found), more=False, cut=not stream.eof)
        rest = stream.unused_data
    return Unpacked(bytes(found), more=True, cut=False)
