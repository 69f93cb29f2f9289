"""Fast Minimum-Norm attack (Pintor et al. 2021, arXiv 2102.12827): the nearest success of a row."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.asking import Answer, Ground, Mask, Question, Source, one_each
from auditor.attacks.losses import difference
from auditor.attacks.nearing import Quest
from auditor.attacks.norms import TINY, Norm, flat, free, in_parts, size, wide
from auditor.attacks.ranking import largest
from auditor.attacks.shrinking import shrink
from auditor.domain.tasks import Floats

FIRST_SHRINK, LAST_SHRINK = 0.1, 1e-4
"""By which share of itself the radius moves, at first and at last (section 3.1)."""
LAST_STEP = 0.01
"""The last step as a share of the first one; both fall by a cosine."""
STRIDE = {Norm.L1: 0.5}
"""The first step as a share of the radius where that is not 1."""
SPARSER = 1.5
"""An ``l1`` step moves as many coordinates as the change has, divided by this."""
START = 0.5
"""How far from the clean row a further walk to the same class starts, as a share of the best."""
DUAL = {Norm.LINF: Norm.L1, Norm.L2: Norm.L2, Norm.L1: Norm.LINF, Norm.L0: Norm.L2}
"""How a slope is measured: for ``l0``, of which it says nothing, by its Euclidean length."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Where each row's walk stands: ``change`` in ranges, ``radius`` the ball it is kept in.

    ``own`` is the norm of the nearest success of this walk (infinite: none).
    """

    quest: Quest
    rng: np.random.Generator
    change: Floats
    radius: Floats
    own: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The nearest success of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Question:
        """Ask about the point that each walk has reached; more places than allowed may move."""
        ball = self.quest.ball
        return one_each(ball.at(self.change), held=ball.norm is not Norm.L0)

    def tell(self, answer: Answer) -> "Walk":
        """Move the radius towards the line between success and failure; step along the slope."""
        quest, found, length = self.quest.hear(answer)
        value, cotangent = difference(answer.logits, quest.aim)
        slope = quest.ball.in_ranges(answer.pull(cotangent))
        own = np.where(found, np.minimum(length, self.own), self.own)
        state = replace(self, quest=quest, own=own)
        dual = np.maximum(size(slope, DUAL[quest.ball.norm]), TINY)
        radius = state._next_radius(found, value, dual, length)  # noqa: SLF001 -- its own next state
        state = replace(
            state,
            radius=radius,
            change=state._step(slope, dual, radius),  # noqa: SLF001 -- its own next state
            iteration=self.iteration + 1,
        )
        if state.iteration < self.steps or quest.last:
            return state
        return state._begin(quest.further())  # noqa: SLF001 -- its own next state

    def take(self, keep: Mask) -> "Walk":
        """Return the walk of some rows only."""
        return replace(
            self,
            quest=self.quest.take(keep),
            change=self.change[keep],
            radius=self.radius[keep],
            own=self.own[keep],
        )

    def _begin(self, quest: Quest) -> "Walk":
        """Begin the next walk in a ball as large as the best success is far."""
        return replace(
            self,
            quest=quest,
            change=quest.start(self.rng, START),
            radius=np.minimum(quest.length, quest.ball.eps),
            own=np.full(len(self.own), np.inf),
            iteration=0,
        )

    def _next_radius(self, found: Mask, value: Floats, dual: Floats, length: Floats) -> Floats:
        """Shrink the ball of a success, widen that of a failure.

        Before the first success the line is estimated by the slope, as where it is a plane, and
        ``dual`` is the steepest way there. What lies beyond the best success is of no use.
        """
        rate = LAST_SHRINK + (FIRST_SHRINK - LAST_SHRINK) * self._cosine()
        widest = np.minimum(self.quest.length, self.quest.ball.eps)
        if self.quest.ball.norm is Norm.L0:
            less = np.minimum(self.radius - 1, np.floor(self.radius * (1 - rate)))
            less = np.maximum(np.minimum(less, self.own), 1)
            more = np.maximum(self.radius + 1, np.floor(self.radius * (1 + rate)))
            return np.where(found, less, more if self.quest.walk == 0 else np.minimum(more, widest))
        less = np.minimum(self.radius * (1 - rate), self.own)
        with np.errstate(over="ignore"):  # where nothing slopes, the line may be anywhere
            plane = length + np.abs(value) / dual
        more = np.where(np.isfinite(self.own), self.radius * (1 + rate), plane)
        return np.where(
            found, less, np.minimum(more, self.quest.ball.eps if self.quest.walk == 0 else widest)
        )

    def _step(self, slope: Floats, dual: Floats, radius: Floats) -> Floats:
        """Return the next change: a step along the slope, as long as a share of the radius."""
        ball, low, high = self.quest.ball, self.quest.low, self.quest.high
        share = STRIDE.get(ball.norm, 1.0) * (LAST_STEP + (1 - LAST_STEP) * self._cosine())
        if ball.norm is Norm.L1:
            way = _sparse(slope, self.change, low, high)
        elif ball.norm is Norm.LINF:
            way = np.sign(slope)
        else:
            way = slope / wide(dual, slope)
        reach = np.ones(len(radius)) if ball.norm is Norm.L0 else radius
        way *= wide(share * reach, slope)
        way += self.change
        return shrink(way, radius, low, high, ball.norm, ball.channels)

    def _cosine(self) -> float:
        return float((1 + np.cos(np.pi * self.iteration / max(self.steps, 1))) / 2)


def _sparse(slope: Floats, change: Floats, low: Floats, high: Floats) -> Floats:
    """Return the step of ``l1`` norm 1 along the steepest coordinates that are free to move.

    The Euclidean step moves all of them, and the ball takes most of that back. As many move as the
    change has, divided by ``SPARSER`` (Croce & Hein 2021, arXiv 2103.01208, section 4), and no
    more than the root of all.
    """
    way = np.empty_like(slope)
    for part in in_parts(slope):
        way[part] = _sparse_part(slope[part], change[part], low[part], high[part])
    return way


def _sparse_part(slope: Floats, change: Floats, low: Floats, high: Floats) -> Floats:
    steep = flat(np.abs(slope) * free(slope, change, low, high))
    rows, most = steep.shape[0], np.sqrt(steep.shape[1])
    moved = np.bincount(np.flatnonzero(change != 0) // max(1, steep.shape[1]), minlength=rows)
    count = np.where(moved > 0, np.clip(moved / SPARSER, 1.0, most), most)
    chosen = largest(steep, count)
    chosen &= steep > 0
    places = np.flatnonzero(chosen)
    worth = steep.reshape(-1).take(places)
    own = places // max(1, steep.shape[1])
    total = np.bincount(own, worth, rows)
    way = np.zeros_like(slope)
    signed = np.copysign(worth / total[own], slope.reshape(-1).take(places))
    way.reshape(-1)[places] = signed
    return way


@dataclass(frozen=True, slots=True)
class FastMinimumNorm:
    """Walks along the decision line of the twin towards the clean row, in any norm.

    The first walk goes to any harmful class; each further one to the next likeliest class alone,
    no farther than the best success so far, and from random points where there is no class left.
    """

    steps: int
    walks: int = 1

    source = Source.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack, its walks and its steps."""
        walks = f"{self.walks} x " if self.walks > 1 else ""
        return f"fmn, {walks}{self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step."""
        return self.walks * self.steps

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a point broken and nearer than any before."""
        return self.rounds + 1

    @property
    def passes(self) -> int:
        """One a step."""
        return self.rounds

    def begin(self, ground: Ground, rng: np.random.Generator) -> Walk:
        """Begin at the clean rows; only a walk to classes walked to before draws at random."""
        quest = Quest.begin(ground, self.walks, untargeted=True)
        ball, rows = quest.ball, len(quest.length)
        return Walk(
            quest=quest,
            rng=rng,
            change=np.zeros(ball.clean.shape),
            radius=np.full(rows, 1.0 if ball.norm is Norm.L0 else ball.eps),
            own=np.full(rows, np.inf),
            iteration=0,
            steps=self.steps,
        )
