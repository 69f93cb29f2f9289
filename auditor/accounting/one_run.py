"""What many canaries of one training run prove: guesses that are right too often for the claim."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom, norm

from auditor.accounting.tradeoffs import TradeOff
from auditor.domain.tasks import Floats
from auditor.stats.delong import area_and_influence

Bits = NDArray[np.bool_]
SHARES = (1.0, 0.5, 0.2, 0.1)
"""Shares of the canaries that are guessed of: the surest ones, half as in and half as out."""
MOST_EPSILON = 64.0
HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Guesses:
    """``right`` of ``made`` guesses were, of ``canaries`` that came in by a fair coin each."""

    canaries: int
    made: int
    right: int


def guesses_of(scores: Floats, included: Bits, shares: Sequence[float] = SHARES) -> list[Guesses]:
    """Guess of the highest scores that they are in, of as many lowest that they are out.

    ``scores`` ``[m]`` and ``included`` ``[m]`` name the canaries in one order. How many guesses
    are made is fixed beforehand: one tally a share.
    """
    order = np.argsort(scores, kind="stable")
    found = []
    for share in shares:
        half = max(1, int(len(scores) * share) // 2)
        right = int(included[order[-half:]].sum()) + int((~included[order[:half]]).sum())
        found.append(Guesses(len(scores), 2 * half, right))
    return found


def luckier(seen: Sequence[Guesses], confidence: float) -> list[Guesses]:
    """Return as many right guesses as another run of the same training has at most.

    Two runs differ by normal errors of both; corrected for all guess counts.
    """
    far = math.sqrt(2) * float(norm.isf((1 - confidence) / (2 * len(seen))))
    return [replace(item, right=min(item.made, item.right + _spread(item, far))) for item in seen]


def _spread(item: Guesses, far: float) -> int:
    return math.ceil(far * math.sqrt(item.right * (item.made - item.right) / item.made))


def pure_p_value(seen: Guesses, epsilon: float, delta: float) -> float:
    """Return how likely so many right guesses are at most, if training is (epsilon, delta)-private.

    Steinke, Nasr and Jagielski (2023), NeurIPS, theorem 5.2: a binomial tail, and a term for delta.
    """
    chance = float(expit(epsilon))
    tail = float(binom.sf(seen.right - 1, seen.made, chance))
    before = binom.pmf(np.arange(seen.right - 1, -1, -1), seen.made, chance)
    steepest = np.max(np.cumsum(before) / np.arange(1, seen.right + 1)) if seen.right else 0.0
    return min(1.0, tail + 2 * seen.canaries * delta * float(steepest))


def pure_bound(seen: Guesses, delta: float, level: float) -> float:
    """Return the largest epsilon that so many right guesses refute at ``level``; 0 for none."""
    low, high = 0.0, MOST_EPSILON
    if pure_p_value(seen, low, delta) > level:
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if pure_p_value(seen, middle, delta) <= level:
            low = middle
        else:
            high = middle
    return low


def refutes(seen: Guesses, curve: TradeOff, level: float) -> bool:
    """Whether so many right guesses refute, at ``level``, that training keeps a trade-off curve.

    Were they likelier than ``level``, the curve would bind how likely fewer right ones are, one by
    one, until all chances together exceeded those of the guesses. Mahloujifar, Melis and Chaudhuri
    (2025), ICML, arXiv 2410.22235, algorithm 3.
    """
    right = level * seen.right / seen.canaries
    wrong = level * (seen.made - seen.right) / seen.canaries
    most = seen.made / seen.canaries
    for count in range(seen.right - 1, -1, -1):
        least = curve.inverse(right)
        if least <= wrong or right + wrong > most:
            # With nothing new at this count there is nothing new at any lower one.
            break
        right += count / (seen.made - count) * (least - wrong)
        wrong = least
    return right + wrong > most


def separation(scores: Floats, included: Bits) -> float:
    """Return the chance that a canary that is in scores above one that is out; ties count half."""
    if included.all() or not included.any():
        return 0.5
    return area_and_influence(scores, included)[0]


def each_level(level: float, looks: int) -> float:
    """Return the level of one of ``looks`` guess counts, each looked at by two bounds."""
    return level / (2 * looks)
