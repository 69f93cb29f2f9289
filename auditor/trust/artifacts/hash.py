"""Fast file hashing: memory-mapped, several files in parallel, and never a mix of two versions.

Large files are mapped in windows, which avoids the copy that reading makes. A mapped file that is
truncated while it is read would kill the process, so a file is mapped only under a lease: the
kernel then blocks writers and notifies us. Where no lease is available (the file is open for
writing or belongs to another user), the file is read.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

from auditor.errors import ArtifactError, MissingExtraError, suggest_install
from auditor.trust.signatures.model_serialisations import HashAlgorithm

WINDOW = 64 * 2**20
CHUNK = 256 * 2**10
LEAST_MAPPED = 2**20
"""Smaller files are read: a lease and a mapping cost more than the copy."""
Advance = Callable[[int], None]
"""Is told of every so many bytes that were hashed, from any thread."""
Views = Generator[memoryview, None, None]
"""Shows bytes piece by piece, each until the next is asked for; closed, it lets go of them."""


class Hasher(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: memoryview | mmap.mmap, /) -> object:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of all bytes taken."""
        ...


class FileStamp(NamedTuple):
    """What changes when a file does; the kernel sets the last of it, and nobody sets it back."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileStamp":
        """Return the stamp of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def new_hasher(kind: HashAlgorithm, *, threads: int = 1) -> Hasher:
    """Return a new hasher. Raises ``MissingExtraError`` where blake3 is not installed."""
    if kind is HashAlgorithm.SHA256:
        return hashlib.sha256(usedforsecurity=True)
    if kind is HashAlgorithm.BLAKE2B:
        return hashlib.blake2b()
    try:
        from blake3 import blake3  # noqa: PLC0415 -- an extra
    except ImportError:
        raise MissingExtraError(
            "The model is hashed with blake3, which is not installed",
            cure=f"{suggest_install('blake3')}.",
        ) from None
    return blake3(max_threads=threads)


def read_file_views(descriptor: int, start: int, end: int) -> Views:
    """Show the bytes from ``start`` up to ``end`` of an open file; the caller compares stamps.

    Raises ``OSError`` where the file ends before ``end``.
    """
    place = start
    if end - start >= LEAST_MAPPED and _lease(descriptor):
        try:
            place = yield from _mapped_views(descriptor, start, end)
        finally:
            _release(descriptor)
    views_start = place
    buffer = memoryview(bytearray(min(CHUNK, max(end - views_start, 1))))
    while views_start < end:
        count = os.preadv(descriptor, [buffer[: end - views_start]], views_start)
        if not count:
            raise OSError(0, "it became shorter")
        yield buffer[:count]
        views_start += count


@contextlib.contextmanager
def map_file(descriptor: int, size: int) -> Iterator[memoryview]:
    """Show an open file's bytes: mapped under a lease, else as a copy in memory.

    The caller compares stamps: a file that changed meanwhile may be shown shorter.
    """
    leased = size > 0 and _lease(descriptor)
    try:
        if not leased or os.fstat(descriptor).st_size != size:
            yield memoryview(_read_whole(descriptor, size))
            return
        with (
            mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as window,
            memoryview(window) as view,
        ):
            yield view
    finally:
        if leased:
            _release(descriptor)


def changed_file_error(name: str) -> ArtifactError:
    """Return the error for a file that was another one at the end than at the start."""
    return ArtifactError(
        f"{name} changed while it was read", cure="Let the model rest, and try again."
    )


def _mapped_views(descriptor: int, start: int, end: int) -> Generator[memoryview, None, int]:
    """Show windows for as long as nobody asks to write; return up to where."""
    while start < end and fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
        if os.fstat(descriptor).st_size < end:
            break  # under the lease this holds for the whole window
        below = start % mmap.ALLOCATIONGRANULARITY
        length = min(WINDOW - below, end - start)
        with mmap.mmap(
            descriptor, below + length, access=mmap.ACCESS_READ, offset=start - below
        ) as window:
            window.madvise(mmap.MADV_SEQUENTIAL)
            with memoryview(window) as whole, whole[below:] as view:
                yield view
        start += length
    return start


def _read_whole(descriptor: int, size: int) -> bytearray:
    found = bytearray(size)
    view, place = memoryview(found), 0
    while place < size and (count := os.preadv(descriptor, [view[place:]], place)):
        place += count
    view.release()
    del found[place:]
    return found


def _lease(descriptor: int) -> bool:
    try:
        # A signal that is ignored by default: the lease is asked after, and not waited for.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except (OSError, AttributeError):
        return False
    return True


def _release(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


Stream = tuple[str, Callable[[], Views]]
"""A label, and what begins the stream."""


def hash_streams(
    waiting: deque[Stream], make: Callable[[], Hasher], advance: Advance
) -> dict[str, str]:
    """Hash streams until none waits, and return their digests by label.

    Several threads may draw from the same queue. ``advance`` may raise to stop; whatever is
    raised, the stream that was begun is closed.
    """
    digests: dict[str, str] = {}
    while (stream := _next_stream(waiting)) is not None:
        label, begin = stream
        hasher = make()
        with contextlib.closing(begin()) as views:
            for view in views:
                hasher.update(view)
                advance(len(view))
        digests[label] = hasher.hexdigest()
    return digests


def _next_stream(waiting: deque[Stream]) -> Stream | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
