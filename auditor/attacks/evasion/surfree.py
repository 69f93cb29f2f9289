"""SurFree (Maho et al. 2021, arXiv 2011.12807): the nearest success in L2, from decisions only."""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.asking import Answer, Ground, Mask, Places, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.decision_l2_planes import Directions, across, on_circle
from auditor.attacks.norms import Norm, chosen, size, wide
from auditor.attacks.strangers import NOBODY, strangers
from auditor.domain.tasks import Floats

STRANGERS = 5
"""How many other rows a row tries to begin at before it takes noise."""
LINE = 0.01
"""How exactly the decision line is found at first, as a share of the way to the start."""
FIRST_ANGLE = np.deg2rad(30)
WIDEST_ANGLE = np.deg2rad(45)
GROWTH = 1.2
"""By how much the angle of the next trial grows after a success, and falls after a failure."""
BISECTIONS = 3
"""Of the angle, after a success: a coarse one leaves queries for more directions."""


class Phase(IntEnum):
    """What a row's next question is for."""

    START = 0
    LINE = 1
    TURN = 2
    ANGLE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Where each row's walk stands.

    ``change`` is its nearest success so far, in ranges (0: none), and ``across`` the direction in
    which it turns: by ``angle``, whose sign is the side. A bisection lies between ``low`` and
    ``high``: shares of ``change`` or angles; ``count`` is that of its steps, or of starts tried.
    ``pool`` and ``near`` hold what rows begin at.
    """

    ball: Ball
    directions: Directions
    rng: np.random.Generator
    pool: Floats
    near: Places
    phase: NDArray[np.int8]
    count: Places
    low: Floats
    high: Floats
    angle: Floats
    base: Floats
    change: Floats
    across: Floats
    asked: Floats

    @property
    def best(self) -> Floats:
        """The nearest success of each row, or the clean row."""
        return self.ball.at(self.change)

    def ask(self) -> Question:
        """Ask about one point a row."""
        return one_each(self.ball.at(self.asked))

    def tell(self, answer: Answer) -> "Walk":
        """Keep nearer successes, and let each row go on from where it is."""
        found = self.ball.change(answer.points)
        length, before = size(found, Norm.L2), size(self.change, Norm.L2)
        nearer = answer.reached & ((length < before) | (before == 0))
        state = replace(self, change=chosen(nearer, found, self.change))
        for step in (_after_start, _after_line, _after_turn, _after_angle):
            state = step(state, self.phase, answer.reached)
        return replace(state, asked=_next_point(state))

    def take(self, keep: Mask) -> "Walk":
        """Return the walk of some rows only."""
        parts = {name: getattr(self, name)[keep] for name in _BY_ROW}
        return replace(self, ball=self.ball.take(keep), **parts)


_BY_ROW = (
    *("near", "phase", "count", "low", "high", "angle"),
    *("base", "change", "across", "asked"),
)


def _after_start(state: Walk, phase: NDArray[np.int8], reached: Mask) -> Walk:
    """Look for the decision line between the clean row and a start that succeeds."""
    asked = phase == Phase.START
    begun = asked & reached
    return replace(
        state,
        phase=np.where(begun, np.int8(Phase.LINE), state.phase),
        base=chosen(begun, state.change, state.base),
        low=np.where(begun, 0.0, state.low),
        high=np.where(begun, 1.0, state.high),
        count=np.where(begun, 0, state.count + asked),
    )


def _after_line(state: Walk, phase: NDArray[np.int8], reached: Mask) -> Walk:
    asked, middle = phase == Phase.LINE, (state.low + state.high) / 2
    low = np.where(asked & ~reached, middle, state.low)
    high = np.where(asked & reached, middle, state.high)
    return _turn(replace(state, low=low, high=high), asked & (high - low <= LINE))


def _after_turn(state: Walk, phase: NDArray[np.int8], reached: Mask) -> Walk:
    """Bisect the angle of a success; turn to the other side, then elsewhere, after failures."""
    asked = phase == Phase.TURN
    hit, other = asked & reached, asked & ~reached & (state.angle > 0)
    missed = asked & ~reached & ~other
    wider = np.minimum(np.abs(state.angle) * GROWTH, WIDEST_ANGLE)
    state = replace(
        state,
        phase=np.where(hit, np.int8(Phase.ANGLE), state.phase),
        low=np.where(hit, state.angle, state.low),
        high=np.where(hit, np.clip(2 * state.angle, -np.pi / 2, np.pi / 2), state.high),
        angle=np.where(other, -state.angle, np.where(hit, wider, state.angle)),
    )
    state = replace(state, angle=np.where(missed, -state.angle / GROWTH, state.angle))
    return _turn(state, missed)


def _after_angle(state: Walk, phase: NDArray[np.int8], reached: Mask) -> Walk:
    asked, middle = phase == Phase.ANGLE, (state.low + state.high) / 2
    count = state.count + asked
    state = replace(
        state,
        low=np.where(asked & reached, middle, state.low),
        high=np.where(asked & ~reached, middle, state.high),
        count=count,
    )
    return _turn(state, asked & (count >= BISECTIONS))


def _turn(state: Walk, rows: Mask) -> Walk:
    """Let some rows turn in a new direction from their nearest success."""
    if not rows.any():
        return state
    base, sideways = state.base.copy(), state.across.copy()
    base[rows] = state.change[rows]
    wish = state.directions.draw(int(rows.sum()), state.rng)
    sideways[rows] = across(base[rows], wish)
    return replace(
        state,
        phase=np.where(rows, np.int8(Phase.TURN), state.phase),
        count=np.where(rows, 0, state.count),
        base=base,
        across=sideways,
    )


def _next_point(state: Walk) -> Floats:
    """Return the change that each row asks about next, in ranges."""
    middle = (state.low + state.high) / 2
    asked = wide(middle, state.base) * state.base
    turning = state.phase >= Phase.TURN
    angle = np.where(state.phase == Phase.TURN, state.angle, middle)[turning]
    asked[turning] = on_circle(state.base[turning], state.across[turning], angle)
    starting = np.flatnonzero(state.phase == Phase.START)
    if len(starting):
        asked[starting] = _starts(state, starting)
    return asked


def _starts(state: Walk, rows: Places) -> Floats:
    """Return the next start of some rows: the nearest strangers, then noise over all the box."""
    ball, count = state.ball.take(rows), state.count[rows]
    low, high = ball.reach()
    change = state.rng.uniform(low, high)
    near = state.near[rows, np.minimum(count, STRANGERS - 1)]
    known = (count < STRANGERS) & (near != NOBODY)
    if known.any():
        change[known] = ball.take(known).change(state.pool[near[known]])
    return np.asarray(change * (ball.scale > 0))


@dataclass(frozen=True, slots=True)
class SurFree:
    """Turns in random planes around the clean row: one decision of the target an iteration and row.

    Each row begins at the nearest row that the target decides as the attacker wants.
    """

    decisions: int

    source = Source.DECISIONS
    minimises = True
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its decisions."""
        return f"surfree, {self.decisions} decisions"

    @property
    def rounds(self) -> int:
        """One a decision."""
        return self.decisions

    @property
    def queries(self) -> int:
        """One a decision."""
        return self.decisions

    def begin(self, ground: Ground, rng: np.random.Generator) -> Walk:
        """Begin without a success."""
        ball, rows = ground.ball, len(ground.labels)
        nothing = np.zeros(ball.clean.shape)
        state = Walk(
            ball=ball,
            directions=Directions(ball),
            rng=rng,
            pool=ball.clean.astype(np.float64),
            near=strangers(ground, STRANGERS),
            phase=np.full(rows, Phase.START, dtype=np.int8),
            count=np.zeros(rows, dtype=np.int64),
            low=np.zeros(rows),
            high=np.ones(rows),
            angle=np.full(rows, FIRST_ANGLE),
            base=nothing,
            change=nothing,
            across=nothing,
            asked=nothing,
        )
        return replace(state, asked=_next_point(state))
