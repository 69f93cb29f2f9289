"""How much too little noise canaries would have shown, by simulating the clearest that can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm

from auditor.accounting.contradicting import Held
from auditor.accounting.one_run import Bits, guesses_of
from auditor.domain.tasks import Floats

FACTORS = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, np.inf)
TRIALS = 20
ENOUGH = 0.8
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Ideal:
    """Canaries alone in their coordinate: each step that holds one moves it by a clip.

    ``noise`` is the claimed multiplier, ``rate`` the sampling rate, ``steps`` their number.
    """

    canaries: int
    noise: float
    rate: float
    steps: int

    def scores(self, factor: float, rng: np.random.Generator) -> tuple[Floats, Bits]:
        """Draw scores ``[m]`` with ``factor`` times too little noise, and who is in."""
        included = rng.random(self.canaries) < 0.5  # noqa: PLR2004 -- a fair coin
        times = rng.binomial(self.steps, min(self.rate, 1.0), self.canaries) * included
        spread = np.sqrt(self.steps) * self.noise / factor
        return times + spread * rng.standard_normal(self.canaries), included

    @property
    def separation(self) -> float:
        """The chance, at the claimed noise, that a canary that is in scores above one that is out:
        over how many steps may hold it, of two normal scores so many clips apart.
        """
        rate = min(self.rate, 1.0)
        # Of more steps than these none has a chance that would count.
        times = np.arange(int(binom.isf(TINY, self.steps, rate)) + 1)
        apart = times / (np.sqrt(2 * self.steps) * max(self.noise, TINY))
        return float(binom.pmf(times, self.steps, rate) @ norm.cdf(apart))


def would_catch(
    held: Held, ideal: Ideal, seed: int, factors: Sequence[float] = FACTORS
) -> float | None:
    """Return the least factor of too little noise that is contradicted in 80 % of simulated runs.

    ``numpy.inf`` is no noise at all; ``None`` means that not even that would have been seen.
    """
    for place, factor in enumerate(factors):
        rng = np.random.default_rng([seed, place])
        caught = sum(
            held.contradicted_by(guesses_of(*ideal.scores(factor, rng))) for _ in range(TRIALS)
        )
        if caught >= ENOUGH * TRIALS:
            return factor
    return None
