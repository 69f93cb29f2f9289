"""Exchanges places of a sparse success for steeper ones, and drops the least of them.

Sparse-RS (Croce et al. 2022, arXiv 2006.12834) draws places at random and hears scores; here the
twin's slope says which places are worth most at an end of their range.
"""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.asking import Answer, Ground, Mask, Question, Source, one_each
from auditor.attacks.losses import difference
from auditor.attacks.nearing import Quest
from auditor.attacks.norms import TINY, Norm, chosen, flat, signs, size, wide
from auditor.attacks.ranking import largest
from auditor.domain.tasks import Floats

NOISE = 0.3
"""Standard deviation of the logarithm by which a place's worth is changed after a refusal."""
DROPPED = 0.1
"""The share of places that a success loses at first; it falls to one place at last."""


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """Where each row's search stands: ``base`` is the change in ranges that it goes on from.

    ``value`` is how far the base is ahead (minus infinity: the next answer is taken, whatever it
    says), ``slope`` the twin's there in ranges, ``tried`` the change that is asked about.
    """

    quest: Quest
    rng: np.random.Generator
    base: Floats
    value: Floats
    slope: Floats
    tried: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The success with the fewest places of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Question:
        """Ask about the last proposal."""
        return one_each(self.quest.ball.at(self.tried))

    def tell(self, answer: Answer) -> "Exchange":
        """Go on from a proposal that is ahead of the base, or that succeeds in as few places."""
        quest, found, length = self.quest.hear(answer)
        value, cotangent = difference(answer.logits, quest.whole)
        slope = quest.ball.in_ranges(answer.pull(cotangent))
        arrived = found & (length <= self.quest.length)
        taken = arrived | (value > self.value)
        heard = replace(
            self,
            quest=quest,
            base=chosen(taken, self.tried, self.base),
            # From a success on, what has fewer places is taken even where it falls behind.
            value=np.where(arrived, -np.inf, np.where(taken, value, self.value)),
            slope=chosen(taken, slope, self.slope),
            iteration=self.iteration + 1,
        )
        return replace(heard, tried=heard._proposal(~taken))  # noqa: SLF001 -- its own next state

    def take(self, keep: Mask) -> "Exchange":
        """Return the search of some rows only."""
        return replace(
            self,
            quest=self.quest.take(keep),
            base=self.base[keep],
            value=self.value[keep],
            slope=self.slope[keep],
            tried=self.tried[keep],
        )

    def _proposal(self, refused: Mask) -> Floats:
        """Return the places worth most, each at the end of its range that the slope points to.

        A place that is changed already counts twice: what it brings, and what going back costs.
        Where the last proposal was refused the worth is shaken, so that another one comes.
        """
        base, slope = self.base, self.slope
        way = signs(slope)
        end = way * np.maximum(way * self.quest.high, way * self.quest.low) + base * (way == 0)
        worth = np.maximum(slope * end, slope * base) + np.abs(slope * base)
        # Of places worth nothing, those changed already stay first.
        worth += TINY * (base != 0)
        channels = self.quest.ball.channels
        if channels is not None:
            worth = worth.sum(axis=1 + channels, keepdims=True)
        worth *= np.exp(NOISE * wide(refused, worth) * self.rng.normal(size=worth.shape))
        kept = largest(flat(worth), self._places()).reshape(worth.shape)
        return np.asarray(end * kept)

    def _places(self) -> Floats:
        """Return how many places each row may change next: fewer than its best success has."""
        share = DROPPED * (1 - self.iteration / self.steps)
        length = self.quest.length
        known = np.where(np.isfinite(length), length, 0.0)
        fewer = np.maximum(known - np.maximum(np.floor(share * known), 1), 1)
        return np.where(known > 0, np.minimum(fewer, self.quest.ball.eps), self.quest.ball.eps)


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Searches on the twin, from the best that earlier attacks found, for fewer places (``l0``)."""

    steps: int

    source = Source.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack and its steps."""
        return f"exchange, {self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step."""
        return self.steps

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a point broken and nearer than any before."""
        return self.rounds + 1

    @property
    def passes(self) -> int:
        """One a step."""
        return self.rounds

    def begin(self, ground: Ground, rng: np.random.Generator) -> Exchange:
        """Begin at the nearest success of earlier attacks, or at their strongest failure."""
        quest = Quest.begin(ground, 1, untargeted=True)
        nothing = np.zeros(quest.best.shape)
        change = nothing if ground.start is None else quest.ball.change(ground.start)
        if ground.start is not None and ground.broken is not None:
            # The twin may not see a success of the target.
            length = np.where(
                ground.broken, size(change, Norm.L0, quest.ball.channels), quest.length
            )
            best = np.where(wide(ground.broken, nothing), ground.start, quest.best)
            quest = replace(quest, best=best, length=length)
        return Exchange(
            quest=quest,
            rng=rng,
            base=change,
            value=np.full(len(nothing), -np.inf),
            slope=nothing,
            tried=change,
            iteration=0,
            steps=self.steps,
        )
