"""Canaries held against a claim: whether they contradict it, and what epsilon they prove."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditor.accounting.one_run import Guesses, each_level, pure_bound, pure_p_value, refutes
from auditor.accounting.tradeoffs import Family

FARTHEST = 64.0
"""How many times more or less noise than claimed is looked at."""
HALVINGS = 10
PURE = "one run (Steinke et al. 2023)"


@dataclass(frozen=True, slots=True)
class Proved:
    """The epsilon that canaries prove at a level, and by which of the two bounds."""

    epsilon: float
    pure: float
    tradeoff: float
    method: str


@dataclass(frozen=True, slots=True)
class Held:
    """What guesses are held against at ``level``: that training keeps ``epsilon`` at ``delta``.

    ``noise`` is that of the member of the family which just keeps it. Without a family only what
    holds of any training is asked.
    """

    epsilon: float
    delta: float
    family: Family | None
    noise: float
    level: float

    def contradicted_by(self, seen: Sequence[Guesses]) -> bool:
        """Whether guesses refute it, by either bound at any guess count, each at its part."""
        each = each_level(self.level, len(seen))
        if any(pure_p_value(item, self.epsilon, self.delta) <= each for item in seen):
            return True
        if self.family is None:
            return False
        curve = self.family.curve(self.noise)
        return any(refutes(item, curve, each) for item in seen)


def prove(
    seen: Sequence[Guesses], delta: float, family: Family | None, noise: float, level: float
) -> Proved:
    """Return the largest epsilon that the guesses prove at ``level``, over both bounds.

    The second is one of mechanisms like the claimed: the most noise whose epsilon is refuted.
    """
    each = each_level(level, len(seen))
    pure = max(pure_bound(item, delta, each) for item in seen)

    if family is None:
        return Proved(pure, pure, 0.0, PURE)

    def refuted(guess: float) -> bool:
        curve = family.curve(guess)
        return any(refutes(item, curve, each) for item in seen)

    least = least_noise(refuted, noise)
    low = 0.0 if least is None else family.bracket(least).low
    if low > pure:
        return Proved(low, pure, low, "one run, f-DP (Mahloujifar et al. 2025)")
    return Proved(pure, pure, low, PURE)


def least_noise(refuted: Callable[[float], bool], claimed: float) -> float | None:
    """Return about the least noise that is refuted, by bisection; ``None`` if none is.

    More noise leaks less, so that whatever lies above a refuted noise is refuted too.
    """
    kept = gone = claimed
    if refuted(claimed):
        while kept > claimed / FARTHEST and refuted(kept):
            gone, kept = kept, kept / 2
    else:
        while not refuted(gone):
            kept, gone = gone, gone * 2
            if gone > claimed * FARTHEST:
                return None
    for _ in range(HALVINGS):
        middle = math.sqrt(kept * gone)
        kept, gone = (kept, middle) if refuted(middle) else (middle, gone)
    return gone


def noise_keeping(family: Family, epsilon: float, claimed: float) -> float:
    """Return the noise, near ``claimed``, whose epsilon is the claimed one or a little less."""

    def too_much(noise: float) -> bool:
        return family.bracket(noise).high <= epsilon

    found = least_noise(too_much, claimed)
    return claimed * FARTHEST if found is None else found
