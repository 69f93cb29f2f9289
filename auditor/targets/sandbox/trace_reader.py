"""Reads a trace from a pipe in a process of its own, and passes it on.

It is started before this process gives up starting any, since the profiler needs it: that lets no
thread of its own process run meanwhile.
"""

import functools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

LENGTH = 8


@dataclass(frozen=True, slots=True)
class TraceReader:
    """A process: where to write to it, where it tells that, and the word that ends a trace."""

    process: int
    written: int
    told: int
    end: bytes


@functools.cache
def start_trace_reader() -> TraceReader:
    """Start the reader, the first time; it ends with this process."""
    read, written = os.pipe()
    told, tell = os.pipe()
    end = secrets.token_bytes(32)
    if (process := os.fork()) == 0:
        os.close(written)
        os.close(told)
        _serve(read, tell, end)
    os.close(read)
    os.close(tell)
    return TraceReader(process, written, told, end)


@contextmanager
def capture_trace() -> Iterator[list[bytes]]:
    """Give a list that holds, after the block, what was written meanwhile."""
    kept: list[bytes] = []
    try:
        yield kept
    finally:
        at = start_trace_reader()
        os.write(at.written, at.end)
        kept.append(_exactly(at.told, int.from_bytes(_exactly(at.told, LENGTH), "big")))


def _exactly(source: int, count: int) -> bytes:
    held = bytearray()
    while len(held) < count:
        part = os.read(source, count - len(held))
        if not part:
            raise EOFError
        held += part
    return bytes(held)


def _serve(read: int, tell: int, end: bytes) -> NoReturn:
    held = bytearray()
    try:
        while part := os.read(read, 2**20):
            held += part
            if held.endswith(end):
                whole = bytes(held[: -len(end)])
                held.clear()
                answer = memoryview(len(whole).to_bytes(LENGTH, "big") + whole)
                while answer:
                    answer = answer[os.write(tell, answer) :]
    finally:
        os._exit(0)
