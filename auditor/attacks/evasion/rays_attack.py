"""RayS, a decision-based L-infinity attack that searches the sign directions of each row.

Source: Chen & Gu 2020, arXiv 2006.12792.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Places,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.norms import flatten_rows
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.starting_points import NOBODY, find_harmful_neighbours
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Floats

STRANGERS = 5
"""How many other rows a row walks towards before it takes signs at random."""

Signs = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class RayStarts:
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
    def around(cls, ground: AttackContext, rng: np.random.Generator) -> "RayStarts":
        """Look at the rows of an attack before the first walk."""
        rows = len(ground.labels)
        seeds = rng.integers(2**63, size=rows, dtype=np.int64)
        crowd, near = flatten_rows(ground.ball.exact), find_harmful_neighbours(ground, STRANGERS)
        return cls(crowd, near, seeds, np.zeros(rows, dtype=np.int64))

    def further(self, rows: Mask) -> "RayStarts":
        """Return the starts with some rows on their next walk."""
        return replace(self, walk=self.walk + rows)

    def take(self, keep: Mask) -> "RayStarts":
        """Return the starts of some rows only."""
        return RayStarts(self.crowd, self.near[keep], self.seeds[keep], self.walk[keep])

    def signs(self, ball: PerturbationBall, order: Places) -> Signs:
        """Return the way to the stranger that is next, at random where that moves nothing."""
        pairs = zip(self.seeds, self.walk, strict=True)
        drawn = [np.random.default_rng(pair).integers(2, size=len(order)) for pair in pairs]
        chance = 2 * np.array(drawn, dtype=np.int8).reshape(len(self.walk), len(order)) - 1
        way = np.sign(self._way(ball, order)).astype(np.int8)
        return np.where(way != 0, way, chance)

    def led(self, ball: PerturbationBall, order: Places, rows: Mask) -> Mask:
        """Return which of some rows walk towards a stranger that lies elsewhere."""
        return rows & self._way(ball, order).any(axis=1) if rows.any() else rows

    def radius(self, ball: PerturbationBall, order: Places) -> Floats:
        """Return how far in Linf the stranger is, in ranges; the widest ball's where none leads."""
        return _reach(self._way(ball, order), ball)

    def shares(self, ball: PerturbationBall, order: Places) -> Floats:
        """Return how far each place moves on the line to the stranger, as a share of the radius."""
        way = self._way(ball, order)
        return np.abs(way) / _reach(way, ball)[:, None]

    def _way(self, ball: PerturbationBall, order: Places) -> Floats:
        """Return the change to the stranger that is next, cut to the ball; 0 where none is."""
        at = self.walk - 1
        place = self.near[np.arange(len(at)), np.clip(at, 0, STRANGERS - 1)]
        known = (at >= 0) & (at < STRANGERS) & (place != NOBODY)
        there = self.crowd[np.maximum(place, 0)].reshape(ball.clean.shape)
        change = flatten_rows(ball.change(there))[:, order]
        return np.where(
            known[:, None], np.clip(change, -largest_radius(ball), largest_radius(ball)), 0.0
        )


def _reach(way: Floats, ball: PerturbationBall) -> Floats:
    far = np.abs(way).max(axis=1, initial=0.0)
    return np.where(far > 0, far, largest_radius(ball))


def largest_radius(ball: PerturbationBall) -> float:
    """Return the largest radius that moves anything, in ranges."""
    return min(ball.eps, 1.0)


def nested_order(ball: PerturbationBall) -> Places:
    """Return the movable places of a row laid flat, in an order whose runs lie close together.

    A picture's pixels are put in Morton order (the bits of their two places interleaved), so that
    halving a run again and again gives squares; its channels stay side by side.
    """
    row = ball.clean.shape[1:]
    free = np.flatnonzero(np.broadcast_to(ball.scale, row).reshape(-1) > 0).astype(np.int64)
    axes = find_image_axes(row)
    if axes is None:
        return free
    places = np.unravel_index(free, row)
    down, across = (np.asarray(places[axis], dtype=np.int64) for axis in axes[:2])
    bits = int(max(row)).bit_length()
    key = sum(
        (down >> bit & 1) << 2 * bit + 1 | (across >> bit & 1) << 2 * bit for bit in range(bits)
    )
    return free[np.argsort(key, kind="stable")]


TOLERANCE = 5e-3
"""How exactly a radius is found, and by how much a trial has to be better, as a share of it."""
LEAP = 4.0
"""By how much each leap inwards is longer than the last, until one misses the success."""
FIRST = -1
"""The stage of a row whose first direction was not tried yet."""
STRAIGHT = -2
"""The stage of a row that asks about a stranger itself, as the signs of the way there failed."""


@dataclass(frozen=True, slots=True, eq=False)
class RaysState:
    """Where each row's walk stands: its best ``signs``, and the ``radius`` that they succeed at.

    A ``straight`` walk is one whose places move in proportion, as on the line to a stranger.

    ``order`` lists the movable places of a row laid flat; ``signs`` follow it. At ``stage`` k they
    are 2 ** k blocks, and ``block`` is the one that is turned round next. ``searching`` rows look
    for the radius of their trial, between ``low`` and ``high``: by a leap that is a ``step`` of
    the old radius long, or, at 0, by halves. ``failed`` counts the last trials in blocks of one
    place that all failed. When each place has, the walk has stalled: on a model of steps, as trees
    are, the same trials would fail for ever. The row then takes its next walk.
    """

    ball: PerturbationBall
    order: Places
    starts: RayStarts
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

    def ask(self) -> Query:
        """Ask for a radius, or whether the next trial is better than the best one of the walk."""
        return query_each_row(self._points(self._trial(), self._asked()))

    def tell(self, answer: QueryResult) -> "RaysState":
        """Narrow the searches, take up trials that succeed, and turn to the next block or walk."""
        asked = self._asked()
        active = self.searching | answer.reached
        low = np.where(self.searching, np.where(answer.reached, self.low, asked), 0.0)
        high = np.where(active & answer.reached, asked, self.high)
        # How long each row's next leap is; 0 where it halves what is left. A trial is mostly a
        # little better than what it replaces: leaps of growing length from there cost fewer
        # decisions than halves of the whole radius.
        longer = LEAP * np.where(self.searching, self.step, TOLERANCE)
        step = np.where(answer.reached & (self.stage > FIRST) & (longer < 1), longer, 0.0)
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
        # The search with the next question of rows that missed the start of a walk. Where the signs
        # of the way to a stranger failed, its own row is next, and the line to it. Where that
        # failed as well (it differs in what may not move), the signs go on in the widest ball.
        missed = ~active
        lost = missed & (self.stage == STRAIGHT)
        led = heard.starts.led(heard.ball, heard.order, missed & (self.stage == FIRST))
        heard = replace(
            heard,
            stage=np.where(led, STRAIGHT, heard.stage),
            straight=(heard.straight | led) & ~lost,
            radius=np.where(lost, largest_radius(heard.ball), heard.radius),
        )
        return _begun_anew(heard, heard.failed >= self.signs.shape[1])

    def take(self, keep: Mask) -> "RaysState":
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


def _begun_anew(state: RaysState, stalled: Mask) -> RaysState:
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

    source = AttackFeedback.DECISIONS
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

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> RaysState:
        """Begin in the widest ball, at a corner."""
        rows, order = len(ground.labels), nested_order(ground.ball)
        signs = np.ones((rows, len(order)), dtype=np.int8)
        if self.fresh:
            signs = np.where(rng.random(signs.shape) < 1 / 2, signs, -signs)
        radius, none = np.full(rows, largest_radius(ground.ball)), np.zeros(rows, dtype=np.int64)
        return RaysState(
            ball=ground.ball,
            order=order,
            starts=RayStarts.around(ground, rng),
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
