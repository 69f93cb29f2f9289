"""Where walks along signs begin, and in which order they go through the places of a row."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.asking import Ground, Mask, Places
from auditor.attacks.balls import Ball
from auditor.attacks.norms import flat
from auditor.attacks.strangers import NOBODY, strangers
from auditor.domain.images import image_axes
from auditor.domain.tasks import Floats

STRANGERS = 5
"""How many other rows a row walks towards before it takes signs at random."""

Signs = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Where each row's next walk begins; rows that are dropped on the way change no other's.

    Which rows begin together matters: seeds are drawn in their order, and strangers are of them.
    ``near`` are places in ``crowd``, all rows laid flat, of the nearest that are decided as an
    attacker would like; ``walk`` counts the row's walks, and ``seeds`` are for those at random.
    """

    crowd: Floats
    near: Places
    seeds: Places
    walk: Places

    @classmethod
    def around(cls, ground: Ground, rng: np.random.Generator) -> "Starts":
        """Look at the rows of an attack before the first walk."""
        rows = len(ground.labels)
        seeds = rng.integers(2**63, size=rows, dtype=np.int64)
        crowd, near = flat(ground.ball.exact), strangers(ground, STRANGERS)
        return cls(crowd, near, seeds, np.zeros(rows, dtype=np.int64))

    def further(self, rows: Mask) -> "Starts":
        """Return the starts with some rows on their next walk."""
        return replace(self, walk=self.walk + rows)

    def take(self, keep: Mask) -> "Starts":
        """Return the starts of some rows only."""
        return Starts(self.crowd, self.near[keep], self.seeds[keep], self.walk[keep])

    def signs(self, ball: Ball, order: Places) -> Signs:
        """Return the way to the stranger that is next, at random where that moves nothing."""
        pairs = zip(self.seeds, self.walk, strict=True)
        drawn = [np.random.default_rng(pair).integers(2, size=len(order)) for pair in pairs]
        chance = 2 * np.array(drawn, dtype=np.int8).reshape(len(self.walk), len(order)) - 1
        way = np.sign(self._way(ball, order)).astype(np.int8)
        return np.where(way != 0, way, chance)

    def led(self, ball: Ball, order: Places, rows: Mask) -> Mask:
        """Return which of some rows walk towards a stranger that lies elsewhere."""
        return rows & self._way(ball, order).any(axis=1) if rows.any() else rows

    def radius(self, ball: Ball, order: Places) -> Floats:
        """Return how far in Linf the stranger is, in ranges; the widest ball's where none leads."""
        return _reach(self._way(ball, order), ball)

    def shares(self, ball: Ball, order: Places) -> Floats:
        """Return how far each place moves on the line to the stranger, as a share of the radius."""
        way = self._way(ball, order)
        return np.abs(way) / _reach(way, ball)[:, None]

    def _way(self, ball: Ball, order: Places) -> Floats:
        """Return the change to the stranger that is next, cut to the ball; 0 where none is."""
        at = self.walk - 1
        place = self.near[np.arange(len(at)), np.clip(at, 0, STRANGERS - 1)]
        known = (at >= 0) & (at < STRANGERS) & (place != NOBODY)
        there = self.crowd[np.maximum(place, 0)].reshape(ball.clean.shape)
        change = flat(ball.change(there))[:, order]
        return np.where(known[:, None], np.clip(change, -widest(ball), widest(ball)), 0.0)


def _reach(way: Floats, ball: Ball) -> Floats:
    far = np.abs(way).max(axis=1, initial=0.0)
    return np.where(far > 0, far, widest(ball))


def widest(ball: Ball) -> float:
    """Return the largest radius that moves anything, in ranges."""
    return min(ball.eps, 1.0)


def nested(ball: Ball) -> Places:
    """Return the movable places of a row laid flat, in an order whose runs lie close together.

    A picture's pixels are put in Morton order (the bits of their two places interleaved), so that
    halving a run again and again gives squares; its channels stay side by side.
    """
    row = ball.clean.shape[1:]
    free = np.flatnonzero(np.broadcast_to(ball.scale, row).reshape(-1) > 0).astype(np.int64)
    axes = image_axes(row)
    if axes is None:
        return free
    places = np.unravel_index(free, row)
    down, across = (np.asarray(places[axis], dtype=np.int64) for axis in axes[:2])
    bits = int(max(row)).bit_length()
    key = sum(
        (down >> bit & 1) << 2 * bit + 1 | (across >> bit & 1) << 2 * bit for bit in range(bits)
    )
    return free[np.argsort(key, kind="stable")]
