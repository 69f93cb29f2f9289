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
    """Where each row's next walk begins; what a row draws hangs on no other row.

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
        at = self.walk - 1
        place = self.near[np.arange(len(at)), np.minimum(at, STRANGERS - 1)]
        known = (at < STRANGERS) & (place != NOBODY)
        there = self.crowd[np.maximum(place, 0)][:, order]
        way = np.sign(np.nan_to_num(there - flat(ball.exact)[:, order])).astype(np.int8)
        return np.where(known[:, None] & (way != 0), way, chance)


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
