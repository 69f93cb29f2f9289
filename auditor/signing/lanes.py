"""One thread's hashing: of one stream of bytes after the other, or by SHA-256 of two at once.

A processor that knows SHA-256 is busy half the time with one stream, whose every step waits for the
one before. ``_lanes.c`` lets the steps of two take turns. It is built where there is a compiler;
without it, or on another processor, streams are hashed one by one, to the same digests.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from auditor.signing.hashing import Advance, Hasher, Views

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
class Method(Generic[_H]):
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
        lanes: list[_Lane[_H]] = []
        try:
            while True:
                while len(lanes) < self.streams and (stream := _drawn(waiting)):
                    lanes.append(_Lane(stream, self.make()))
                if not lanes:
                    return digests
                self._take(lanes, told)
                digests |= {lane.label: lane.hasher.hexdigest() for lane in lanes if not lane.left}
                lanes = [lane for lane in lanes if lane.left]
        finally:
            for lane in lanes:
                lane.views.close()

    def _take(self, lanes: Sequence["_Lane[_H]"], told: Advance) -> None:
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


class _Lane(Generic[_H]):
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


def in_pairs() -> "Method[_lanes.Sha256] | None":
    """Return how to hash by SHA-256 two streams at once, where this machine can."""
    return Method(_lanes.Sha256, _lanes.update_both) if PAIRED else None


def _drawn(waiting: deque[Stream]) -> Stream | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
