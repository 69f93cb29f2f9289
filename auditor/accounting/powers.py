"""How much too little noise canaries would have shown, by simulating the clearest that can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from auditor.accounting.brackets import Steps, composition
from auditor.accounting.composing import Composed
from auditor.accounting.contradicting import Held
from auditor.accounting.one_run import Bits, guesses_of
from auditor.domain.tasks import Floats

FACTORS = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, np.inf)
TRIALS = 20
ENOUGH = 0.8
TINY = 1e-12
QUIETEST = 1 / 16
"""Clips of noise below which steps tell about as much as without any; no less is simulated."""
LEFT_OUT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Values ``[k]`` that a score takes, in order, and how likely it is at most each ``[k]``."""

    values: Floats
    at_most: Floats

    @classmethod
    def of(cls, values: Floats, chances: Floats) -> "Spread":
        """Return the spread of values in order, from chances that come to about 1."""
        at_most = np.cumsum(np.maximum(chances, 0.0))
        return cls(values, at_most / at_most[-1])

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Draw ``[count]`` scores."""
        drawn: Floats = self.values[np.searchsorted(self.at_most, rng.random(count), side="right")]
        return drawn


@dataclass(frozen=True, slots=True)
class Told:
    """How the scores of canaries that are in are spread, and those of canaries that are out."""

    inside: Spread
    outside: Spread

    def scores(self, canaries: int, rng: np.random.Generator) -> tuple[Floats, Bits]:
        """Draw scores ``[m]`` of ``canaries``, and who is in."""
        included = rng.random(canaries) < 0.5  # noqa: PLR2004 -- a fair coin
        inside, outside = self.inside.draw(canaries, rng), self.outside.draw(canaries, rng)
        return np.where(included, inside, outside), included

    @property
    def separation(self) -> float:
        """The chance that a canary that is in scores above one that is out; ties count half."""
        below = np.append(0.0, self.outside.at_most)
        less, up_to = (
            below[np.searchsorted(self.outside.values, self.inside.values, side=side)]
            for side in ("left", "right")
        )
        return float(np.diff(self.inside.at_most, prepend=0.0) @ (less + up_to) / 2)


@dataclass(frozen=True, slots=True)
class Ideal:
    """Canaries alone in their coordinate: each step that holds one moves it by a clip.

    ``noise`` is the claimed multiplier, ``rate`` the sampling rate, ``steps`` their number.
    """

    canaries: int
    noise: float
    rate: float
    steps: int

    def told(self, factor: float) -> Told:
        """Return how scores are spread with ``factor`` times too little noise.

        The clearest score is the privacy loss, so that its spread is that which accounting
        composes: as the canary comes in, and, turned, as it goes. Without any noise it is how often
        a step held the canary.
        """
        if np.isinf(factor):
            # Of more steps than these none has a chance that would count.
            times = np.arange(binom.isf(TINY, self.steps, self.rate) + 1)
            held = Spread.of(times, binom.pmf(times, self.steps, self.rate))
            return Told(held, Spread.of(np.zeros(1), np.ones(1)))
        steps = Steps(max(self.noise / factor, QUIETEST), self.rate, self.steps)
        comes, goes = composition(steps, LEFT_OUT, above=True).sides
        return Told(_spread(comes), _turned(_spread(goes)))


def _spread(composed: Composed) -> Spread:
    loss = composed.loss
    values = np.append(loss.losses, loss.losses[-1] + loss.step)
    return Spread.of(values, np.append(loss.mass, loss.infinite))


def _turned(spread: Spread) -> Spread:
    chances = np.diff(spread.at_most, prepend=0.0)
    return Spread.of(-spread.values[::-1], chances[::-1])


def would_catch(
    held: Held, ideal: Ideal, seed: int, factors: Sequence[float] = FACTORS
) -> float | None:
    """Return the least factor of too little noise that is contradicted in 80 % of simulated runs.

    ``numpy.inf`` is no noise at all; ``None`` means that not even that would have been seen.
    """
    for place, factor in enumerate(factors):
        rng, told = np.random.default_rng([seed, place]), ideal.told(factor)
        caught = sum(
            held.contradicted_by(guesses_of(*told.scores(ideal.canaries, rng)))
            for _ in range(TRIALS)
        )
        if caught >= ENOUGH * TRIALS:
            return factor
    return None
