"""What an attack left standing: robust, as far as its suite could see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.attacks.counterexamples.claims import Changes, Sized
from auditor.attacks.counterexamples.given import Given
from auditor.attacks.tallies import Mask, Outcomes
from auditor.attacks.threats import within
from auditor.domain.challenges import Result, Trial
from auditor.domain.tasks import Floats

Measure = Callable[[Given, int], Sized]
"""Holds an example against the threat of the check itself: ``HOLDS`` where that permits it."""
Rewrite = Callable[[Mapping[int, Trial], Given], Changes]
Moves = Callable[[Given, int, int, float], bool]
"""Whether an example, of a row at a place and of a size, moves a figure beside the curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """Rows ``ids`` that an attack was thrown at, and how far away it broke each of them.

    A row that an example breaks within a smaller budget than the attack did counts as broken there;
    so does a nearer example where it ``moves`` a figure of all rows, such as the median distance.
    """

    ids: Sequence[str]
    seen: Outcomes
    measure: Measure
    rewrite: Rewrite
    moves: Moves

    def judge(self, at: int, place: int, given: Given) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        goal = self.seen.goal
        if self.seen.wrong[place] or given.wrong(at, goal):
            return Result.WRONG_BEFORE, ()
        result, size = self.measure(given, at)
        if result is not Result.HOLDS:
            return result, size
        broken = within(self.seen.breaking[place : place + 1], size[1])[0]
        if broken and not self.moves(given, at, place, size[0]):
            return Result.BROKEN_BEFORE, size
        return Result.HOLDS if given.misled(at, goal) else Result.NOT_MISCLASSIFIED, size

    def changes(self, held: Mapping[int, Trial], given: Given) -> Changes:
        """Return the evidence that would be another had the audit seen these itself."""
        return self.rewrite(held, given)


def smallest(budgets: Sequence[float], distance: float) -> float | None:
    """Return the smallest budget that a distance keeps, rounding error forgiven."""
    size = np.array([distance])
    return next((float(eps) for eps in budgets if within(size, eps)[0]), None)


def lower_median(sizes: Floats) -> float:
    """Return the lower median, 0 of none."""
    return float(np.sort(sizes)[(len(sizes) + 1) // 2 - 1]) if len(sizes) else 0.0


def median_moves(sizes: Floats, among: Mask | None = None) -> Moves:
    """Return whether a nearer example moves the lower median of the rows' ``sizes``.

    Only one that comes from beyond the median, or from it, to the near side of it does. ``among``
    marks the rows of which it is the median (``None``: all).
    """
    middle = lower_median(sizes if among is None else sizes[among])

    def moves(_given: Given, _at: int, place: int, distance: float) -> bool:
        return bool(sizes[place] >= middle) and not within(np.array([middle]), distance)[0]

    return moves
