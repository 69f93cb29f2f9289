"""SurFree, a decision-based L2 attack that searches random planes through the clean row.

Source: Maho et al. 2021, arXiv 2011.12807.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

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
from auditor.attacks.evasion.norms import (
    TINY,
    Norm,
    broadcast_rows,
    flatten_rows,
    row_norms,
    where_rows,
)
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.starting_points import NOBODY, find_harmful_neighbours
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Floats

SHARES = (0.15, 0.25, 0.5)
"""How much of a picture's frequencies a direction has, one of these at random: few at first hit
more often, many are needed in the end."""


def points_on_circle(success: Floats, across: Floats, angle: Floats) -> Floats:
    """Return changes on the circle over the segment from the clean row to each ``success``.

    At angle 0 lies the success itself, at a right angle the clean row; the size falls as the
    cosine. ``across`` is a unit direction orthogonal to the success, the side that a positive
    angle turns to. Where the decision line is a plane, its nearest point lies on the circle of the
    right direction (Thales; Maho et al. 2021, section 4).
    """
    cosine, sine = broadcast_rows(np.cos(angle), success), broadcast_rows(np.sin(angle), success)
    length = broadcast_rows(row_norms(success, Norm.L2), success)
    return cosine * (cosine * success + sine * length * across)


def orthogonal_part(success: Floats, wish: Floats) -> Floats:
    """Return ``wish`` without its part along ``success``, of length 1."""
    square = np.maximum((flatten_rows(success) ** 2).sum(axis=1), TINY)
    along = (flatten_rows(success) * flatten_rows(wish)).sum(axis=1) / square
    rest = wish - broadcast_rows(along, wish) * success
    return np.asarray(rest / broadcast_rows(np.maximum(row_norms(rest, Norm.L2), TINY), rest))


@dataclass(frozen=True, slots=True, eq=False)
class RandomDirections:
    """Random directions over the coordinates of a ball that may move: smooth ones on pictures."""

    ball: PerturbationBall

    def draw(self, rows: int, rng: np.random.Generator) -> Floats:
        """Return ``rows`` directions; on a picture each has its own share of the frequencies."""
        row = self.ball.clean.shape[1:]
        axes = find_image_axes(row)
        if axes is None:
            return np.asarray(rng.normal(size=(rows, *row)) * (self.ball.scale > 0))
        channels = 1 if axes[2] is None else row[axes[2]]
        height, width = row[axes[0]], row[axes[1]]
        down, over = cosine_waves(height, max(SHARES)), cosine_waves(width, max(SHARES))
        share = rng.choice(SHARES, rows)
        waves = rng.normal(size=(rows, channels, down.shape[1], over.shape[1]))
        waves = waves * _below(share * height, down)[:, None, :, None]
        waves = waves * _below(share * width, over)[:, None, None, :]
        pictures = down @ waves @ over.T
        if axes[2] is not None and axes[2] > axes[0]:
            pictures = np.moveaxis(pictures, 1, 3)
        return np.asarray(pictures.reshape(rows, *row) * (self.ball.scale > 0))


def cosine_waves(length: int, share: float) -> Floats:
    """Return the slowest ``share`` of the cosine waves of ``length`` places: ``[length, waves]``.

    They are orthonormal (the second discrete cosine transform).
    """
    count = max(1, int(np.ceil(share * length)))
    angles = np.pi * (np.arange(length)[:, None] + 0.5) * np.arange(count) / length
    waves = np.cos(angles)
    return np.asarray(waves / np.sqrt((waves * waves).sum(axis=0)))


def _below(limit: Floats, waves: Floats) -> Floats:
    kept: Floats = (np.arange(waves.shape[1]) < np.ceil(limit)[:, None]).astype(np.float64)
    return kept


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


class SurFreePhase(IntEnum):
    """What a row's next question is for."""

    START = 0
    LINE = 1
    TURN = 2
    ANGLE = 3


@dataclass(frozen=True, slots=True, eq=False)
class SurFreeState:
    """Where each row's walk stands.

    ``change`` is its nearest success so far, in ranges (0: none), and ``across`` the direction in
    which it turns: by ``angle``, whose sign is the side. A bisection lies between ``low`` and
    ``high``: shares of ``change`` or angles; ``count`` is that of its steps, or of starts tried.
    ``pool`` and ``near`` hold what rows begin at.
    """

    ball: PerturbationBall
    directions: RandomDirections
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

    def ask(self) -> Query:
        """Ask about one point a row."""
        return query_each_row(self.ball.at(self.asked))

    def tell(self, answer: QueryResult) -> "SurFreeState":
        """Keep nearer successes, and let each row go on from where it is."""
        found = self.ball.change(answer.points)
        length, before = row_norms(found, Norm.L2), row_norms(self.change, Norm.L2)
        nearer = answer.reached & ((length < before) | (before == 0))
        state = replace(self, change=where_rows(nearer, found, self.change))
        for step in (_after_start, _after_line, _after_turn, _after_angle):
            state = step(state, self.phase, answer.reached)
        return replace(state, asked=_next_point(state))

    def take(self, keep: Mask) -> "SurFreeState":
        """Return the walk of some rows only."""
        parts = {name: getattr(self, name)[keep] for name in _BY_ROW}
        return replace(self, ball=self.ball.take(keep), **parts)


_BY_ROW = (
    *("near", "phase", "count", "low", "high", "angle"),
    *("base", "change", "across", "asked"),
)


def _after_start(state: SurFreeState, phase: NDArray[np.int8], reached: Mask) -> SurFreeState:
    """Look for the decision line between the clean row and a start that succeeds."""
    asked = phase == SurFreePhase.START
    begun = asked & reached
    return replace(
        state,
        phase=np.where(begun, np.int8(SurFreePhase.LINE), state.phase),
        base=where_rows(begun, state.change, state.base),
        low=np.where(begun, 0.0, state.low),
        high=np.where(begun, 1.0, state.high),
        count=np.where(begun, 0, state.count + asked),
    )


def _after_line(state: SurFreeState, phase: NDArray[np.int8], reached: Mask) -> SurFreeState:
    asked, middle = phase == SurFreePhase.LINE, (state.low + state.high) / 2
    low = np.where(asked & ~reached, middle, state.low)
    high = np.where(asked & reached, middle, state.high)
    return _turn(replace(state, low=low, high=high), asked & (high - low <= LINE))


def _after_turn(state: SurFreeState, phase: NDArray[np.int8], reached: Mask) -> SurFreeState:
    """Bisect the angle of a success; turn to the other side, then elsewhere, after failures."""
    asked = phase == SurFreePhase.TURN
    hit, other = asked & reached, asked & ~reached & (state.angle > 0)
    missed = asked & ~reached & ~other
    wider = np.minimum(np.abs(state.angle) * GROWTH, WIDEST_ANGLE)
    state = replace(
        state,
        phase=np.where(hit, np.int8(SurFreePhase.ANGLE), state.phase),
        low=np.where(hit, state.angle, state.low),
        high=np.where(hit, np.clip(2 * state.angle, -np.pi / 2, np.pi / 2), state.high),
        angle=np.where(other, -state.angle, np.where(hit, wider, state.angle)),
    )
    state = replace(state, angle=np.where(missed, -state.angle / GROWTH, state.angle))
    return _turn(state, missed)


def _after_angle(state: SurFreeState, phase: NDArray[np.int8], reached: Mask) -> SurFreeState:
    asked, middle = phase == SurFreePhase.ANGLE, (state.low + state.high) / 2
    count = state.count + asked
    state = replace(
        state,
        low=np.where(asked & reached, middle, state.low),
        high=np.where(asked & ~reached, middle, state.high),
        count=count,
    )
    return _turn(state, asked & (count >= BISECTIONS))


def _turn(state: SurFreeState, rows: Mask) -> SurFreeState:
    """Let some rows turn in a new direction from their nearest success."""
    if not rows.any():
        return state
    base, sideways = state.base.copy(), state.across.copy()
    base[rows] = state.change[rows]
    wish = state.directions.draw(int(rows.sum()), state.rng)
    sideways[rows] = orthogonal_part(base[rows], wish)
    return replace(
        state,
        phase=np.where(rows, np.int8(SurFreePhase.TURN), state.phase),
        count=np.where(rows, 0, state.count),
        base=base,
        across=sideways,
    )


def _next_point(state: SurFreeState) -> Floats:
    """Return the change that each row asks about next, in ranges."""
    middle = (state.low + state.high) / 2
    asked = broadcast_rows(middle, state.base) * state.base
    turning = state.phase >= SurFreePhase.TURN
    angle = np.where(state.phase == SurFreePhase.TURN, state.angle, middle)[turning]
    asked[turning] = points_on_circle(state.base[turning], state.across[turning], angle)
    starting = np.flatnonzero(state.phase == SurFreePhase.START)
    if len(starting):
        # The next start of some rows: the nearest strangers, then noise over all the box
        ball, count = state.ball.take(starting), state.count[starting]
        low, high = ball.reach()
        change = state.rng.uniform(low, high)
        near = state.near[starting, np.minimum(count, STRANGERS - 1)]
        known = (count < STRANGERS) & (near != NOBODY)
        if known.any():
            change[known] = ball.take(known).change(state.pool[near[known]])
        asked[starting] = np.asarray(change * (ball.scale > 0))
    return asked


@dataclass(frozen=True, slots=True)
class SurFree:
    """Turns in random planes around the clean row: one decision of the target an iteration and row.

    Each row begins at the nearest row that the target decides as the attacker wants.
    """

    decisions: int

    source = AttackFeedback.DECISIONS
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

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> SurFreeState:
        """Begin without a success."""
        ball, rows = ground.ball, len(ground.labels)
        nothing = np.zeros(ball.clean.shape)
        state = SurFreeState(
            ball=ball,
            directions=RandomDirections(ball),
            rng=rng,
            pool=ball.clean.astype(np.float64),
            near=find_harmful_neighbours(ground, STRANGERS),
            phase=np.full(rows, SurFreePhase.START, dtype=np.int8),
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
