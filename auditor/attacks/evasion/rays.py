"""RayS (Chen & Gu 2020, arXiv 2006.12792): the nearest success along signs, from decisions only."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.asking import Answer, Ground, Mask, Places, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.rays_starts import Signs, Starts, nested, widest
from auditor.domain.tasks import Floats

TOLERANCE = 5e-3
"""How exactly a radius is found, and by how much a trial has to be better, as a share of it."""
LEAP = 4.0
"""By how much each leap inwards is longer than the last, until one misses the success."""
FIRST = -1
"""The stage of a row whose first direction was not tried yet."""
STRAIGHT = -2
"""The stage of a row that asks about a stranger itself, as the signs of the way there failed."""


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Where each row's walk stands: its best ``signs``, and the ``radius`` that they succeed at.

    A ``straight`` walk is one whose places move in proportion, as on the line to a stranger.

    ``order`` lists the movable places of a row laid flat; ``signs`` follow it. At ``stage`` k they
    are 2 ** k blocks, and ``block`` is the one that is turned round next. ``searching`` rows look
    for the radius of their trial, between ``low`` and ``high``: by a leap that is a ``step`` of
    the old radius long, or, at 0, by halves. ``failed`` counts the last trials in blocks of one
    place that all failed. When each place has, the walk has stalled: on a model of steps, as trees
    are, the same trials would fail for ever. The row then takes its next walk.
    """

    ball: Ball
    order: Places
    starts: Starts
    signs: Signs
    radius: Floats
    straight: Mask
    stage: Places
    block: Places
    failed: Places
    searching: Mask
    step: Floats
    low: Floats
    high: Floats

    @property
    def best(self) -> Floats:
        """The nearest success of each row's walk, or where it begins; the frame keeps the rest."""
        return self._points(self.signs, self.radius)

    def ask(self) -> Question:
        """Ask for a radius, or whether the next trial is better than the best one of the walk."""
        return one_each(self._points(self._trial(), self._asked()))

    def tell(self, answer: Answer) -> "Rays":
        """Narrow the searches, take up trials that succeed, and turn to the next block or walk."""
        asked = self._asked()
        active = self.searching | answer.reached
        low = np.where(self.searching, np.where(answer.reached, self.low, asked), 0.0)
        high = np.where(active & answer.reached, asked, self.high)
        step = self._leap(answer.reached)
        searching = active & ((step > 0) | (high - low > TOLERANCE * high))
        kept = active & ~searching
        stage, block = self._next(~searching)
        tried = (self.stage == self._last()) & ~searching
        heard = replace(
            self,
            signs=np.where(kept[:, None], self._trial(), self.signs),
            radius=np.where(kept, high, self.radius),
            stage=stage,
            block=block,
            failed=np.where(kept, 0, self.failed + tried),
            searching=searching,
            step=step,
            low=low,
            high=high,
        )
        heard = _led_straight(heard, self.stage, ~active)
        return _begun_anew(heard, heard.failed >= self.signs.shape[1])

    def take(self, keep: Mask) -> "Rays":
        """Return the search of some rows only."""
        return replace(
            self,
            ball=self.ball.take(keep),
            starts=self.starts.take(keep),
            signs=self.signs[keep],
            radius=self.radius[keep],
            straight=self.straight[keep],
            stage=self.stage[keep],
            block=self.block[keep],
            failed=self.failed[keep],
            searching=self.searching[keep],
            step=self.step[keep],
            low=self.low[keep],
            high=self.high[keep],
        )

    def _asked(self) -> Floats:
        """Return the radius that each row asks about."""
        better = np.where(self.stage <= FIRST, self.radius, self.radius * (1 - TOLERANCE))
        inwards = np.where(self.step > 0, self.radius * (1 - self.step), (self.low + self.high) / 2)
        return np.where(self.searching, inwards, better)

    def _leap(self, reached: Mask) -> Floats:
        """Return how long each row's next leap is; 0 where it halves what is left.

        A trial is mostly a little better than what it replaces: leaps of growing length from there
        cost fewer decisions than halves of the whole radius.
        """
        longer = LEAP * np.where(self.searching, self.step, TOLERANCE)
        return np.where(reached & (self.stage > FIRST) & (longer < 1), longer, 0.0)

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

    def _last(self) -> int:
        """Return the stage whose blocks are single places."""
        return int(np.ceil(np.log2(max(self.signs.shape[1], 1))))

    def _next(self, done: Mask) -> tuple[Places, Places]:
        """Return the block after this one, or the first of the next stage, where a trial is over.

        Blocks of one place are the last stage, and are gone through again.
        """
        count = self.signs.shape[1]
        over = ((self.block + 1) * self._block_size() >= count) | (self.stage <= FIRST)
        later = np.minimum(np.maximum(self.stage, FIRST) + 1, self._last())
        stage = np.where(done & over, later, self.stage)
        return stage, np.where(done, np.where(over, 0, self.block + 1), self.block)

    def _points(self, signs: Signs, radius: Floats) -> Floats:
        """Return the points ``radius`` ranges away along the signs; the box cuts them off."""
        clean = self.ball.clean
        change = np.zeros((len(clean), clean[0].size if len(clean) else 0))
        if len(clean):
            ways = signs * radius[:, None]
            if self.straight.any():
                starts, ball = self.starts.take(self.straight), self.ball.take(self.straight)
                ways[self.straight] *= starts.shares(ball, self.order)
            change[:, self.order] = ways
        return self.ball.at(change.reshape(clean.shape))


def _led_straight(state: Rays, stage: Places, missed: Mask) -> Rays:
    """Return the search with the next question of rows that missed the start of a walk.

    Where the signs of the way to a stranger failed, its own row is next, and the line to it. Where
    that failed as well (it differs in what may not move), the signs go on in the widest ball.
    """
    lost = missed & (stage == STRAIGHT)
    led = state.starts.led(state.ball, state.order, missed & (stage == FIRST))
    return replace(
        state,
        stage=np.where(led, STRAIGHT, state.stage),
        straight=(state.straight | led) & ~lost,
        radius=np.where(lost, widest(state.ball), state.radius),
    )


def _begun_anew(state: Rays, stalled: Mask) -> Rays:
    """Return the search with another walk of stalled rows, which begins as far as a stranger is."""
    if not stalled.any():
        return state
    signs, radius, starts = state.signs.copy(), state.radius.copy(), state.starts.further(stalled)
    begun, ball = starts.take(stalled), state.ball.take(stalled)
    signs[stalled] = begun.signs(ball, state.order)
    radius[stalled] = begun.radius(ball, state.order)
    return replace(
        state,
        starts=starts,
        signs=signs,
        radius=radius,
        straight=state.straight & ~stalled,
        stage=np.where(stalled, FIRST, state.stage),
        block=np.where(stalled, 0, state.block),
        failed=np.where(stalled, 0, state.failed),
    )


@dataclass(frozen=True, slots=True)
class RayS:
    """Turns round ever smaller blocks of signs: one decision of the target an iteration and row.

    Beyond the paper: a picture's blocks are squares rather than runs of rows (at 500 decisions the
    digits' median distance is 4 to 8 % smaller); a radius is found by leaps before halves; and a
    walk that has stalled gives way to another, towards a row of another decision (along the signs,
    or straight where they fail) and then with signs at random. A ``fresh`` search begins at random
    instead of the corner where all is high.
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
        radius, none = np.full(rows, widest(ground.ball)), np.zeros(rows, dtype=np.int64)
        return Rays(
            ball=ground.ball,
            order=order,
            starts=Starts.around(ground, rng),
            signs=signs,
            radius=radius,
            straight=np.zeros(rows, dtype=np.bool_),
            stage=none + FIRST,
            block=none,
            failed=none,
            searching=np.zeros(rows, dtype=np.bool_),
            step=np.zeros(rows),
            low=np.zeros(rows),
            high=radius,
        )
