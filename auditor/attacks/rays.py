"""RayS (Chen & Gu 2020, arXiv 2006.12792): the nearest success along signs, from decisions only."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.asking import Answer, Ground, Mask, Places, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.domain.images import image_axes
from auditor.domain.tasks import Floats

TOLERANCE = 5e-3
"""How exactly a radius is found, and by how much a trial has to be better, as a share of it."""
FIRST = -1
"""The stage of a row whose first direction was not tried yet."""

Signs = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Where each row's search stands: the best ``signs`` and the ``radius`` that they succeed at.

    ``order`` lists the movable places of a row laid flat; ``signs`` follow it. At ``stage`` k they
    are 2 ** k blocks, and ``block`` is the one that is turned round next. ``searching`` rows bisect
    the radius of their trial between ``low`` and ``high``.
    """

    ball: Ball
    order: Places
    signs: Signs
    radius: Floats
    stage: Places
    block: Places
    searching: Mask
    low: Floats
    high: Floats

    @property
    def best(self) -> Floats:
        """The nearest success of each row, or where its search begins."""
        return self._points(self.signs, self.radius)

    def ask(self) -> Question:
        """Ask for a bisection, or whether the next trial is better than the best radius."""
        return one_each(self._points(self._trial(), self._asked()))

    def tell(self, answer: Answer) -> "Rays":
        """Narrow the bisections, take up trials that succeed, and turn to the next block."""
        asked = self._asked()
        begun = answer.reached & ~self.searching
        active = self.searching | begun
        low = np.where(self.searching & ~answer.reached, asked, np.where(begun, 0.0, self.low))
        high = np.where(active & answer.reached, asked, self.high)
        searching = active & (high - low > TOLERANCE * high)
        kept = active & ~searching
        stage, block = self._next(~searching)
        return replace(
            self,
            signs=np.where(kept[:, None], self._trial(), self.signs),
            radius=np.where(kept, high, self.radius),
            stage=stage,
            block=block,
            searching=searching,
            low=low,
            high=high,
        )

    def take(self, keep: Mask) -> "Rays":
        """Return the search of some rows only."""
        return replace(
            self,
            ball=self.ball.take(keep),
            signs=self.signs[keep],
            radius=self.radius[keep],
            stage=self.stage[keep],
            block=self.block[keep],
            searching=self.searching[keep],
            low=self.low[keep],
            high=self.high[keep],
        )

    def _asked(self) -> Floats:
        """Return the radius that each row asks about."""
        better = np.where(self.stage == FIRST, self.radius, self.radius * (1 - TOLERANCE))
        return np.where(self.searching, (self.low + self.high) / 2, better)

    def _trial(self) -> Signs:
        """Return the signs with each row's block turned round."""
        places = np.arange(self.signs.shape[1])
        size = self._block_size()[:, None]
        first = self.block[:, None] * size
        turned = (places >= first) & (places < first + size) & (self.stage[:, None] > FIRST)
        return np.where(turned, -self.signs, self.signs)

    def _block_size(self) -> Places:
        count = self.signs.shape[1]
        size: Places = -(-count // 2 ** np.maximum(self.stage, 0))
        return size

    def _next(self, done: Mask) -> tuple[Places, Places]:
        """Return the block after this one, or the first of the next stage, where a trial is over.

        Blocks of one place are the last stage, and are gone through again.
        """
        count = self.signs.shape[1]
        over = ((self.block + 1) * self._block_size() >= count) | (self.stage == FIRST)
        last = int(np.ceil(np.log2(max(count, 1))))
        stage = np.where(done & over, np.minimum(self.stage + 1, last), self.stage)
        return stage, np.where(done, np.where(over, 0, self.block + 1), self.block)

    def _points(self, signs: Signs, radius: Floats) -> Floats:
        """Return the points ``radius`` ranges away along the signs; the box cuts them off."""
        clean = self.ball.clean
        change = np.zeros((len(clean), clean[0].size if len(clean) else 0))
        if len(clean):
            change[:, self.order] = signs * radius[:, None]
        return self.ball.at(change.reshape(clean.shape))


@dataclass(frozen=True, slots=True)
class RayS:
    """Turns round ever smaller blocks of signs: one decision of the target an iteration and row.

    A picture's blocks are squares rather than the paper's runs of rows: at 500 decisions the
    digits' median distance is 4 to 8 % smaller. A ``fresh`` search begins with signs at random
    instead of the corner where everything is high.
    """

    decisions: int
    fresh: bool = False

    source = Source.DECISIONS
    minimises = True
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its decisions."""
        return f"rays, {self.decisions} decisions{', fresh' * self.fresh}"

    @property
    def rounds(self) -> int:
        """One a decision."""
        return self.decisions

    @property
    def queries(self) -> int:
        """One a decision."""
        return self.decisions

    def begin(self, ground: Ground, rng: np.random.Generator) -> Rays:
        """Begin in the widest ball, at a corner."""
        rows, order = len(ground.labels), nested(ground.ball)
        signs = np.ones((rows, len(order)), dtype=np.int8)
        if self.fresh:
            signs = np.where(rng.random(signs.shape) < 1 / 2, signs, -signs)
        radius = np.full(rows, min(ground.ball.eps, 1.0))
        return Rays(
            ball=ground.ball,
            order=order,
            signs=signs,
            radius=radius,
            stage=np.full(rows, FIRST, dtype=np.int64),
            block=np.zeros(rows, dtype=np.int64),
            searching=np.zeros(rows, dtype=np.bool_),
            low=np.zeros(rows),
            high=radius,
        )


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
