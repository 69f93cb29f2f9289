"""Triggers that are tried blindly on the target: patches, mixed-in patterns, values of columns.

A backdoored model obeys much that resembles its trigger only in part, so that blind trials point
at its class by decisions alone.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from auditor.domain.tasks import Array, Floats
from auditor.poisons.backdoor_triggers import Drawn, Room

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


def patches(room: Room, count: int, rng: np.random.Generator) -> Drawn:
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

    return Drawn(len(laid), make)


def blends(room: Room, count: int, rng: np.random.Generator) -> Drawn:
    """Return ``count`` patterns that are mixed into the whole input, at each of ``MIXTURES``."""
    seed = int(rng.integers(2**31))

    def make(at: int) -> tuple[Floats, Floats]:
        kind = PATTERNS[(at // len(MIXTURES)) % len(PATTERNS)]
        pattern = _pattern(kind, room, np.random.default_rng([seed, at]))
        return np.full(room.places, MIXTURES[at % len(MIXTURES)]), pattern

    return Drawn(count, make)


def values(room: Room, rows: Array, count: int, rng: np.random.Generator) -> Drawn:
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

    return Drawn(len(chosen), make)


def flips(
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


def _as_places(mask: Floats, room: Room) -> Floats:
    if room.axes is None or room.axes[2] is None:
        return mask
    return np.expand_dims(mask, room.axes[2])


def _content(kind: str, room: Room, rng: np.random.Generator) -> Floats:
    if kind == "high":
        return np.ones(room.shape)
    if kind == "low":
        return np.zeros(room.shape)
    if kind == "checks" and room.axes is not None:
        high, wide = (room.shape[axis] for axis in room.axes[:2])
        checks = (np.indices((high, wide)).sum(axis=0) % 2).astype(np.float64)
        return np.asarray(np.broadcast_to(_as_places(checks, room), room.shape))
    return rng.random(room.shape)


def _pattern(kind: str, room: Room, rng: np.random.Generator) -> Floats:
    if room.axes is None or kind == "grains":
        return rng.random(room.shape)
    if kind == "plain":
        return np.full(room.shape, rng.random())
    high, wide = (room.shape[axis] for axis in room.axes[:2])
    if kind == "clouds":
        drawn = gaussian_filter(rng.normal(size=(high, wide)), min(high, wide) / 8, mode="wrap")
    else:
        # Stripes in use run along an axis and close at the border; every other one is such.
        turn, waves = rng.uniform(0, np.pi), float(rng.integers(2, 9))
        turn = rng.choice([0.0, np.pi / 2]) if rng.random() < ALONG else turn
        down, across = np.indices((high, wide)) / max(high, wide)
        way = np.cos(turn) * down + np.sin(turn) * across
        drawn = np.sin(2 * np.pi * (waves * way + rng.random()))
    drawn = (drawn - drawn.min()) / max(float(np.ptp(drawn)), 1e-12)
    return np.asarray(np.broadcast_to(_as_places(drawn, room), room.shape))
