"""Sigma-zero (Cina et al. 2025, arXiv 2402.01879): the fewest places that suffice."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.asking import Answer, Ground, Mask, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.losses import difference
from auditor.attacks.nearing import Quest
from auditor.attacks.norms import TINY, Norm, between, flat, size, wide
from auditor.attacks.ranking import largest
from auditor.domain.tasks import Floats

SOFTNESS = 1e-3
"""``sigma``: squared changes far above it count as one place, far below as none (equation 3)."""
FIRST_THRESHOLD, THRESHOLD_STEP = 0.3, 0.01
"""Changes below the threshold are dropped; it moves by this share of the step (algorithm 1)."""
FIRST_STEP, LAST_STEP = 4.0, 0.1
"""The paper begins with 1; a longer step reaches the ends of a range at once, where few places
bring most, and needs a third of the steps for as few places."""
DECAYS = (0.9, 0.999)
STILL = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """Where each row's descent stands; ``change``, ``threshold`` and two moments in ranges."""

    quest: Quest
    rng: np.random.Generator
    change: Floats
    first: Floats
    second: Floats
    threshold: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The success with the fewest places of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Question:
        """Ask about the point that each descent has reached; a random start is too dense."""
        return one_each(self.quest.ball.at(self.change), held=self.iteration > 0)

    def tell(self, answer: Answer) -> "Descent":
        """Descend along the slope of the loss and of the soft count; drop what is small."""
        quest, found, _ = self.quest.hear(answer)
        value, cotangent = difference(answer.logits, quest.aim)
        slope = quest.ball.in_ranges(answer.pull((value < 0)[:, None] * cotangent))
        state = replace(self, quest=quest)._descend(found, slope)  # noqa: SLF001 -- its own next state
        if state.iteration < self.steps or quest.last:
            return state
        quest = quest.further()
        return _begin(quest, self.rng, self.steps)

    def take(self, keep: Mask) -> "Descent":
        """Return the descent of some rows only."""
        return replace(
            self,
            quest=self.quest.take(keep),
            change=self.change[keep],
            first=self.first[keep],
            second=self.second[keep],
            threshold=self.threshold[keep],
        )

    def _descend(self, found: Mask, slope: Floats) -> "Descent":
        ball, count = self.quest.ball, self.iteration + 1
        descent = _soft_slope(self.change, ball.channels) - slope
        descent /= wide(np.maximum(size(descent, Norm.LINF), TINY), descent)
        keep, keep_square = DECAYS
        first = keep * self.first + (1 - keep) * descent
        second = keep_square * self.second + (1 - keep_square) * descent * descent
        spread = np.sqrt(second / (1 - keep_square**count)) + STILL
        moved = self.change - self._step(self.iteration) / (1 - keep**count) * first / spread
        turn = THRESHOLD_STEP * self._step(count)
        threshold = np.clip(self.threshold + np.where(found, turn, -turn), 0.0, 1.0)
        kept = _dropped(between(moved, self.quest.low, self.quest.high), threshold, ball.channels)
        return replace(
            self,
            change=_steepest(kept, first, ball),
            first=first,
            second=second,
            threshold=threshold,
            iteration=count,
        )

    def _step(self, iteration: int) -> float:
        """Return the length of a step, which falls by a cosine from the second one on."""
        cosine = (1 + np.cos(np.pi * max(iteration - 1, 0) / self.steps)) / 2
        return float(LAST_STEP + (FIRST_STEP - LAST_STEP) * cosine)


def _begin(quest: Quest, rng: np.random.Generator, steps: int) -> Descent:
    """Begin a descent of a quest: at the clean rows, or at random where the way is known."""
    nothing = np.zeros(quest.best.shape)
    return Descent(
        quest=quest,
        rng=rng,
        change=quest.start(rng, FIRST_THRESHOLD),
        first=nothing,
        second=nothing,
        threshold=np.full(len(nothing), FIRST_THRESHOLD),
        iteration=0,
        steps=steps,
    )


def _soft_slope(change: Floats, channels: int | None) -> Floats:
    """Return the slope of the mean of ``s / (s + sigma)`` over places, ``s`` their squared size."""
    square = change * change
    places = change[0].size
    if channels is not None:
        places //= change.shape[1 + channels]
        square = square.sum(axis=1 + channels, keepdims=True)
    return np.asarray(2 * SOFTNESS / places * change / (square + SOFTNESS) ** 2)


def _steepest(change: Floats, descent: Floats, ball: Ball) -> Floats:
    """Return the change in as many places as the ball allows: those that lower the loss most.

    The paper knows no such limit; early changes are dense and of equal size, so that the nearest
    change of few places would be an arbitrary one.
    """
    channels = ball.channels
    if (size(change, Norm.L0, channels) <= ball.eps).all():
        return change
    gain = np.maximum(-change * descent, 0.0)
    if channels is not None:
        gain = gain.sum(axis=1 + channels, keepdims=True)
    kept = largest(flat(gain), np.full(len(gain), np.floor(ball.eps)))
    return change * kept.reshape(gain.shape)


def _dropped(change: Floats, threshold: Floats, channels: int | None) -> Floats:
    """Return the change without places of which no coordinate reaches the threshold."""
    largest = np.abs(change)
    if channels is not None:
        largest = largest.max(axis=1 + channels, keepdims=True)
    return change * (largest >= wide(threshold, change))


@dataclass(frozen=True, slots=True)
class SigmaZero:
    """Descends a soft count of changed places on the twin until the fewest are left.

    The first descent goes to any harmful class, each further one to the next likeliest class.
    """

    steps: int
    walks: int = 1

    source = Source.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack, its descents and its steps."""
        walks = f"{self.walks} x " if self.walks > 1 else ""
        return f"sigma-zero, {walks}{self.steps} steps"

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

    def begin(self, ground: Ground, rng: np.random.Generator) -> Descent:
        """Begin at the clean rows; only a descent to classes known already draws at random."""
        return _begin(Quest.begin(ground, self.walks, untargeted=True), rng, self.steps)
