"""Fast file hashing: memory-mapped, several files in parallel, and never a mix of two versions.

Large files are mapped in windows, which avoids the copy that reading makes. A mapped file that is
truncated while it is read would kill the process, so a file is mapped only under a lease: the
kernel then blocks writers and notifies us. Where no lease is available (the file is open for
writing or belongs to another user), the file is read.

SHA-256 instructions are idle half the time with one stream, because each step waits for the one
before. ``_lanes.c`` interleaves two streams. It is built where a compiler is available; without it,
or on another processor, streams are hashed one by one, with the same digests.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from auditor.errors import ArtifactError, MissingExtraError, suggest_install
from auditor.trust.signatures.serialisations import HashAlgorithm

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
    yield from _read_views(descriptor, place, end)


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


def _read_views(descriptor: int, start: int, end: int) -> Views:
    buffer = memoryview(bytearray(min(CHUNK, max(end - start, 1))))
    while start < end:
        count = os.preadv(descriptor, [buffer[: end - start]], start)
        if not count:
            raise OSError(0, "it became shorter")
        yield buffer[:count]
        start += count


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


try:
    from auditor.signing import _lanes
except ImportError:
    PAIRED = False
else:
    PAIRED = True

Stream = tuple[str, Callable[[], Views]]
"""A label, and what begins the stream."""
_H = TypeVar("_H", bound=Hasher)
_NOTHING = memoryview(b"")


@dataclass(frozen=True, slots=True)
class HashMethod(Generic[_H]):
    """How hashers are made; ``both`` lets two of them take bytes at once, where that is faster."""

    make: Callable[[], _H]
    both: Callable[[_H, memoryview, _H, memoryview], object] | None = None

    @property
    def streams(self) -> int:
        """How many streams one thread hashes at once."""
        return 1 if self.both is None else 2

    def hash(self, waiting: deque[Stream], told: Advance) -> dict[str, str]:
        """Hash streams until none waits, and return their digests by label.

        Several threads may draw from the same queue. ``told`` may raise to stop; whatever is
        raised, the streams that were begun are closed.
        """
        digests: dict[str, str] = {}
        lanes: list[_HashStream[_H]] = []
        try:
            while True:
                while len(lanes) < self.streams and (stream := _drawn(waiting)):
                    lanes.append(_HashStream(stream, self.make()))
                if not lanes:
                    return digests
                self._take(lanes, told)
                digests |= {lane.label: lane.hasher.hexdigest() for lane in lanes if not lane.left}
                lanes = [lane for lane in lanes if lane.left]
        finally:
            for lane in lanes:
                lane.views.close()

    def _take(self, lanes: Sequence["_HashStream[_H]"], told: Advance) -> None:
        """Take what is at hand in every lane."""
        count = min(lane.left for lane in lanes)
        if not count:
            return
        if self.both is not None and len(lanes) > 1:
            one, other = lanes
            self.both(one.hasher, one.piece(count), other.hasher, other.piece(count))
        else:
            (one,) = lanes
            one.hasher.update(one.piece(count))
        for lane in lanes:
            told(count)
            lane.move(count)


class _HashStream(Generic[_H]):
    """A stream on its way: the hash of what was taken, and the view of what comes next."""

    def __init__(self, stream: Stream, hasher: _H) -> None:
        self.label, begin = stream
        self.hasher = hasher
        self.views = begin()
        self.place = 0
        self.view = next(self.views, _NOTHING)

    @property
    def left(self) -> int:
        """Bytes at hand; none only at the end."""
        return len(self.view) - self.place

    def piece(self, count: int) -> memoryview:
        """Return the next bytes; to be let go of before the lane moves."""
        return self.view[self.place : self.place + count]

    def move(self, count: int) -> None:
        """Go on to what follows."""
        self.place += count
        if not self.left:
            self.place = 0
            self.view = next(self.views, _NOTHING)


def build_paired_sha256() -> "HashMethod[_lanes.Sha256] | None":
    """Return how to hash by SHA-256 two streams at once, where this machine can."""
    return HashMethod(_lanes.Sha256, _lanes.update_both) if PAIRED else None


def _drawn(waiting: deque[Stream]) -> Stream | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
