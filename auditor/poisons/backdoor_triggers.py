"""What a trigger is: a mask and a content, put on any row in the same way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.images import image_axes
from auditor.domain.tasks import Array, Floats, InputSpace

MOST_BYTES = 64 * 2**20
"""How much of stamped rows is held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """Where triggered rows live: the box, steps and type of ``[n, ...]`` rows, and what may move.

    ``low`` and ``width`` have the shape of a row; where the input space is open, the rows that are
    known bound it. ``axes`` are height, width and channels of a picture, ``None`` of other rows.
    """

    low: Floats
    width: Floats
    quantum: Floats
    mutable: NDArray[np.bool_]
    dtype: np.dtype[np.generic]
    axes: tuple[int, int, int | None] | None

    @classmethod
    def of(cls, space: InputSpace, rows: Array) -> "Room":
        """Return the room of an input space for rows of one shape and type."""
        row = rows.shape[1:]
        low, high = (
            np.broadcast_to(_closed(end, rows, seen), row)
            for end, seen in ((space.low, np.nanmin), (space.high, np.nanmax))
        )
        high = np.maximum(high, low)
        quantum = np.broadcast_to(space.quantum, row)
        whole = rows.dtype.kind in "iub"
        return cls(
            low=low,
            width=high - low,
            quantum=np.maximum(quantum, 1.0) if whole else np.asarray(quantum, dtype=np.float64),
            mutable=np.asarray(np.broadcast_to(space.mutable, row)),
            dtype=rows.dtype,
            axes=image_axes(row),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return self.low.shape

    @property
    def places(self) -> tuple[int, ...]:
        """The shape of a mask: of a row, with one channel where it is a picture of several."""
        if self.axes is None or self.axes[2] is None:
            return self.shape
        return tuple(1 if at == self.axes[2] else count for at, count in enumerate(self.shape))

    def scaled(self, shares: Floats) -> Floats:
        """Return contents ``[..., row]``, given as shares of the range, in the rows' own units."""
        return np.asarray(self.low + shares * self.width)

    def put(self, rows: Array, masks: Floats, contents: Floats) -> Array:
        """Return ``[n, ...]`` rows, each under its own mask and content (or one for all).

        Masks are within 0..1 and broadcast to the rows; contents are in the rows' units. What
        moves is brought to the box and its steps; a missing value stays unless wholly covered.
        """
        exact = rows.astype(np.float64)
        shares = np.broadcast_to(masks, exact.shape) * self.mutable
        covered = np.broadcast_to(contents, exact.shape)
        mixed = np.where(shares >= 1, covered, exact + shares * (covered - exact))
        steps = np.where(self.quantum > 0, self.quantum, 1.0)
        snapped = self.low + np.rint((mixed - self.low) / steps) * steps
        mixed = np.where(self.quantum > 0, snapped, mixed)
        mixed = np.clip(mixed, self.low, self.low + self.width)
        found = np.where(shares > 0, mixed, exact)
        return found.astype(self.dtype)

    def chunk(self, rows: int) -> int:
        """Return how many stamps of ``rows`` rows each are held at once."""
        return max(1, MOST_BYTES // (8 * max(1, rows) * max(1, int(np.prod(self.shape)))))


@dataclass(frozen=True, slots=True, eq=False)
class Triggers:
    """Several triggers: ``masks`` ``[k, places]`` and ``contents`` ``[k, row]``, shares of ranges.

    The size of a trigger is the mean of its mask: the share of the input that it covers, or how
    strongly it is mixed in everywhere.
    """

    masks: Floats
    contents: Floats

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.masks)

    @property
    def sizes(self) -> Floats:
        """The mean of each mask, ``[k]``."""
        sizes: Floats = self.masks.reshape(len(self.masks), -1).mean(axis=1)
        return sizes

    def take(self, keep: NDArray[np.int64]) -> "Triggers":
        """Return some of them."""
        return Triggers(self.masks[keep], self.contents[keep])

    def on(self, rows: Array, room: Room) -> Array:
        """Return all ``[n, ...]`` rows under each trigger, trigger by trigger: ``[k * n, ...]``."""
        masks = np.repeat(self.masks, len(rows), axis=0)
        contents = np.repeat(room.scaled(self.contents), len(rows), axis=0)
        repeated = np.tile(rows, (len(self), *[1] * (rows.ndim - 1)))
        return room.put(repeated, masks, contents)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Many triggers, each made when it is needed: ``make`` gives one its mask and content."""

    count: int
    make: Callable[[int], tuple[Floats, Floats]]

    def __len__(self) -> int:
        """Return how many there are."""
        return self.count

    def take(self, keep: NDArray[np.int64]) -> Triggers:
        """Return some of them."""
        made = [self.make(int(at)) for at in keep]
        return Triggers(np.array([mask for mask, _ in made]), np.array([how for _, how in made]))


def stamped(tried: Triggers | Drawn, rows: Array, room: Room) -> Iterator[Array]:
    """Yield all rows under all triggers, trigger by trigger, a bounded part at a time."""
    step = room.chunk(len(rows))
    for first in range(0, len(tried), step):
        keep = np.arange(first, min(first + step, len(tried)))
        yield tried.take(keep).on(rows, room)


def _closed(end: Floats, rows: Array, seen: Callable[..., Floats]) -> Floats:
    """Return an end of the range, from the rows where the input space has none."""
    if np.isfinite(end).all():
        return end
    known = np.nan_to_num(seen(rows, axis=0).astype(np.float64))
    return np.where(np.isfinite(end), end, known)
