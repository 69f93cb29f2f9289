"""Sparse-RS for patches (Croce et al. 2022, arXiv 2006.12834): where to, and what on it."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.asking import Answer, Ground, Mask, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.square import HALVINGS
from auditor.attacks.windows import as_planes, as_rows, picture_size, window
from auditor.domain.tasks import Floats

FIRST_SHARE = 0.4
"""Share of the patch that one step repaints at first; it halves as Square Attack's does."""
FIRST_SHIFT = 0.75
"""How far one step moves the patch at first, as a share of the picture; falling to nothing."""
MOVE_EVERY = 4
"""One step in so many moves the patch instead of repainting it."""

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One patch a row: its corner, and which of its pixels are at their high end.

    ``high`` is ``[n, channels, side * side]``; the others are at their low end.
    """

    top: Places
    left: Places
    high: Mask

    def take(self, keep: Mask) -> "Patch":
        """Return the patches of some rows only."""
        return Patch(self.top[keep], self.left[keep], self.high[keep])

    def chosen(self, better: Mask, other: "Patch") -> "Patch":
        """Return ``other`` where it is better, and this elsewhere."""
        return Patch(
            np.where(better, other.top, self.top),
            np.where(better, other.left, self.left),
            np.where(better[:, None, None], other.high, self.high),
        )

    def on(self, ball: Ball) -> Floats:
        """Return the clean pictures with the patches on them."""
        row = ball.clean.shape[1:]
        places = window(self.top, self.left, self.side, picture_size(row)[1])[:, None, :]
        painted = as_planes(ball.clean.astype(np.float64)).copy()
        every = np.broadcast_to(places, self.high.shape)
        low, high = (
            np.take_along_axis(as_planes(end), every, axis=2) for end in (ball.lower, ball.upper)
        )
        np.put_along_axis(painted, every, np.where(self.high, high, low), axis=2)
        return as_rows(painted, row)

    @property
    def side(self) -> int:
        """How many pixels the patch is wide."""
        return math.isqrt(self.high.shape[2])


@dataclass(frozen=True, slots=True, eq=False)
class PatchSearch:
    """The best patch of each row so far, its loss on the target, and what was proposed last."""

    ball: Ball
    patch: Patch
    loss: Floats
    tried: Patch
    iteration: int
    budget: int
    rng: np.random.Generator

    @property
    def best(self) -> Floats:
        """The strongest point of each row so far."""
        return self.patch.on(self.ball)

    def ask(self) -> Question:
        """Ask about the last proposal."""
        return one_each(self.tried.on(self.ball))

    def tell(self, answer: Answer) -> "PatchSearch":
        """Keep the better one of each row, then move it or repaint a part of it.

        An equal one is kept as well: where nothing under it matters, a patch has to wander.
        """
        better = answer.margin >= self.loss
        patch = self.patch.chosen(better, self.tried)
        step = self.iteration + 1
        if step % MOVE_EVERY == 0:
            tried = _move(
                patch, picture_size(self.ball.clean.shape[1:]), step / self.budget, self.rng
            )
        else:
            tried = _repaint(patch, step / self.budget, self.rng)
        return replace(
            self,
            patch=patch,
            loss=np.where(better, answer.margin, self.loss),
            tried=tried,
            iteration=step,
        )

    def take(self, keep: Mask) -> "PatchSearch":
        """Return the search of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            patch=self.patch.take(keep),
            loss=self.loss[keep],
            tried=self.tried.take(keep),
        )


@dataclass(frozen=True, slots=True)
class RandomPatch:
    """Looks for place and content of one square by the target's scores: one query an iteration."""

    iterations: int

    source = Source.SCORES
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its iterations."""
        return f"patch search, {self.iterations} queries"

    @property
    def rounds(self) -> int:
        """One an iteration."""
        return self.iterations

    @property
    def queries(self) -> int:
        """One an iteration."""
        return self.iterations

    def begin(self, ground: Ground, rng: np.random.Generator) -> PatchSearch:
        """Begin anywhere, with one colour a patch."""
        ball, rows = ground.ball, len(ground.labels)
        row = ball.clean.shape[1:]
        height, width = picture_size(row)
        side = largest_side(ball.eps, height, width)
        channels = as_planes(ball.lower).shape[1]
        colour = rng.random((rows, channels, 1)) < 1 / 2
        patch = Patch(
            rng.integers(0, height - side + 1, rows),
            rng.integers(0, width - side + 1, rows),
            np.repeat(colour, side * side, axis=2),
        )
        never = np.full(rows, -np.inf)
        return PatchSearch(ball, patch, never, patch, 0, self.iterations, rng)


def largest_side(places: float, height: int, width: int) -> int:
    """Return the side of the largest square of at most so many pixels, within the picture."""
    return max(1, min(int(np.sqrt(places) + 1e-9), height, width))


def _move(patch: Patch, size: tuple[int, int], spent: float, rng: np.random.Generator) -> Patch:
    reach = max(1, int(FIRST_SHIFT * (1 - spent) * max(size)))
    steps = rng.integers(-reach, reach + 1, (2, len(patch.top)))
    return Patch(
        np.clip(patch.top + steps[0], 0, size[0] - patch.side),
        np.clip(patch.left + steps[1], 0, size[1] - patch.side),
        patch.high,
    )


def _repaint(patch: Patch, spent: float, rng: np.random.Generator) -> Patch:
    """Give a square part of each patch one colour; one pixel alone changes its own."""
    rows, channels, _ = patch.high.shape
    part = FIRST_SHARE / 2.0 ** sum(spent > bound for bound in HALVINGS)
    side = max(1, round(np.sqrt(part) * patch.side))
    corner = rng.integers(0, patch.side - side + 1, (2, rows))
    places = window(corner[0], corner[1], side, patch.side)[:, None, :]
    every = np.broadcast_to(places, (rows, channels, side * side))
    old = np.take_along_axis(patch.high, every, axis=2)
    colour = np.broadcast_to(rng.random((rows, channels, 1)) < 1 / 2, old.shape)
    same = (colour == old).all(axis=(1, 2))
    high = patch.high.copy()
    np.put_along_axis(high, every, np.where(same[:, None, None], ~colour, colour), axis=2)
    return Patch(patch.top, patch.left, high)
