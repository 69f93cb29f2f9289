"""Backdoor triggers, each a mask and a content, and blind trials of them on the target.

A backdoored model also reacts to triggers that resemble its own only in part, so that blind trials
reveal its target class by decisions alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Array, Floats, InputSpace

MOST_BYTES = 64 * 2**20
"""How much of stamped rows is held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class TriggerSpace:
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
    def of(cls, space: InputSpace, rows: Array) -> "TriggerSpace":
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
            axes=find_image_axes(row),
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
class TriggerSet:
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

    def take(self, keep: NDArray[np.int64]) -> "TriggerSet":
        """Return some of them."""
        return TriggerSet(self.masks[keep], self.contents[keep])

    def on(self, rows: Array, room: TriggerSpace) -> Array:
        """Return all ``[n, ...]`` rows under each trigger, trigger by trigger: ``[k * n, ...]``."""
        masks = np.repeat(self.masks, len(rows), axis=0)
        contents = np.repeat(room.scaled(self.contents), len(rows), axis=0)
        repeated = np.tile(rows, (len(self), *[1] * (rows.ndim - 1)))
        return room.put(repeated, masks, contents)


@dataclass(frozen=True, slots=True, eq=False)
class LazyTriggers:
    """Many triggers, each made when it is needed: ``make`` gives one its mask and content."""

    count: int
    make: Callable[[int], tuple[Floats, Floats]]

    def __len__(self) -> int:
        """Return how many there are."""
        return self.count

    def take(self, keep: NDArray[np.int64]) -> TriggerSet:
        """Return some of them."""
        made = [self.make(int(at)) for at in keep]
        return TriggerSet(np.array([mask for mask, _ in made]), np.array([how for _, how in made]))


def stamp_rows(
    tried: TriggerSet | LazyTriggers, rows: Array, room: TriggerSpace
) -> Iterator[Array]:
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


SIDES = (0.05, 0.1, 0.15, 0.2)
"""Sides of patches as shares of the shorter side of a picture, at least one pixel."""
CONTENTS = ("high", "low", "checks", "random")
MIXTURES = (0.1, 0.2, 0.3)
"""How strongly patterns are mixed in."""
PATTERNS = ("grains", "clouds", "stripes", "plain")
ALONG = 0.5
"""The share of stripes that run along an axis."""
TAILS = (0.0, 1.0)
RARE = (0.001, 0.999)


def make_patches(room: TriggerSpace, count: int, rng: np.random.Generator) -> LazyTriggers:
    """Return up to ``count`` square patches of several sides, places and contents on a picture.

    Every side gets the same number of them, of all places on a grid and all contents. Raises
    ``TypeError`` for rows that are no pictures.
    """
    if room.axes is None:
        message = "patches lie on pictures"
        raise TypeError(message)
    high, wide = (room.shape[axis] for axis in room.axes[:2])
    sides = sorted({max(1, round(share * min(high, wide))) for share in SIDES})
    laid: list[tuple[int, int, int, str]] = []
    for side in sides:
        cells = list(product([side], _grid(high, side), _grid(wide, side), CONTENTS))
        chosen = rng.permutation(len(cells))[: max(1, count // len(sides))]
        laid += [cells[at] for at in chosen]
    order, seed = rng.permutation(len(laid)), int(rng.integers(2**31))

    def make(at: int) -> tuple[Floats, Floats]:
        side, top, left, content = laid[order[at]]
        mask = np.zeros((high, wide))
        mask[top : top + side, left : left + side] = 1.0
        return _as_places(mask, room), _content(content, room, np.random.default_rng([seed, at]))

    return LazyTriggers(len(laid), make)


def make_blends(room: TriggerSpace, count: int, rng: np.random.Generator) -> LazyTriggers:
    """Return ``count`` patterns that are mixed into the whole input, at each of ``MIXTURES``."""
    seed = int(rng.integers(2**31))

    def make(at: int) -> tuple[Floats, Floats]:
        kind = PATTERNS[(at // len(MIXTURES)) % len(PATTERNS)]
        rng = np.random.default_rng([seed, at])
        if room.axes is None or kind == "grains":
            pattern = rng.random(room.shape)
        elif kind == "plain":
            pattern = np.full(room.shape, rng.random())
        else:
            high, wide = (room.shape[axis] for axis in room.axes[:2])
            if kind == "clouds":
                drawn = gaussian_filter(
                    rng.normal(size=(high, wide)), min(high, wide) / 8, mode="wrap"
                )
            else:
                # Stripes in use run along an axis and close at the border; every other one is such.
                turn, waves = rng.uniform(0, np.pi), float(rng.integers(2, 9))
                turn = rng.choice([0.0, np.pi / 2]) if rng.random() < ALONG else turn
                down, across = np.indices((high, wide)) / max(high, wide)
                way = np.cos(turn) * down + np.sin(turn) * across
                drawn = np.sin(2 * np.pi * (waves * way + rng.random()))
            drawn = (drawn - drawn.min()) / max(float(np.ptp(drawn)), 1e-12)
            pattern = np.asarray(np.broadcast_to(_as_places(drawn, room), room.shape))
        return np.full(room.places, MIXTURES[at % len(MIXTURES)]), pattern

    return LazyTriggers(count, make)


def make_value_triggers(
    room: TriggerSpace, rows: Array, count: int, rng: np.random.Generator
) -> LazyTriggers:
    """Return up to ``count`` settings of one or two columns to extreme or rare values.

    All single columns come first: the ends of their range and the rarest of what ``rows`` hold;
    then pairs of these, drawn at random.
    """
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    free = np.flatnonzero(room.mutable.ravel())
    low, width = room.low.ravel(), np.where(room.width.ravel() > 0, room.width.ravel(), 1.0)
    seen = (np.nanquantile(flat, RARE, axis=0).T - low[:, None]) / width[:, None]
    single = [
        (int(at), float(value))
        for at in free
        for value in sorted({*TAILS, *np.clip(np.nan_to_num(seen[at]), 0, 1).tolist()})
    ]
    chosen = [[one] for one in single][:count]
    while len(chosen) < count and len(free) > 1:
        first, second = (single[at] for at in rng.integers(0, len(single), 2))
        if first[0] != second[0]:
            chosen.append([first, second])

    def make(at: int) -> tuple[Floats, Floats]:
        mask, content = np.zeros(len(low)), np.zeros(len(low))
        for column, value in chosen[at]:
            mask[column], content[column] = 1.0, value
        return mask.reshape(room.shape), content.reshape(room.shape)

    return LazyTriggers(len(chosen), make)


def count_flips(
    decided: NDArray[np.int64], before: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many rows each trigger sends to each class, ``[k, classes]``, and out of how many.

    ``decided`` is ``[k, n]``, ``before`` ``[n]`` what was decided of the rows without a trigger;
    rows that were of the class before do not count: ``[classes]`` is how many are left.
    """
    counts = np.stack(
        [((decided == at) & (before != at)).sum(axis=1) for at in range(classes)], axis=1
    )
    left = np.array([(before != at).sum() for at in range(classes)])
    return counts.astype(np.int64), left.astype(np.int64)


def _grid(length: int, side: int) -> list[int]:
    """Return where patches start so that they cover a length, the last flush with its end."""
    return sorted({*range(0, length - side + 1, side), length - side})


def _as_places(mask: Floats, room: TriggerSpace) -> Floats:
    if room.axes is None or room.axes[2] is None:
        return mask
    return np.expand_dims(mask, room.axes[2])


def _content(kind: str, room: TriggerSpace, rng: np.random.Generator) -> Floats:
    if kind == "high":
        return np.ones(room.shape)
    if kind == "low":
        return np.zeros(room.shape)
    if kind == "checks" and room.axes is not None:
        high, wide = (room.shape[axis] for axis in room.axes[:2])
        checks = (np.indices((high, wide)).sum(axis=0) % 2).astype(np.float64)
        return np.asarray(np.broadcast_to(_as_places(checks, room), room.shape))
    return rng.random(room.shape)
