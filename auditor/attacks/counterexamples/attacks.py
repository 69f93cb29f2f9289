"""What an attack left standing: robust, as far as its suite could see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.counterexamples.claims import Changes, Held, Sized, Verdict, counted, tried
from auditor.attacks.counterexamples.given import Given
from auditor.attacks.tallies import Mask, Outcomes
from auditor.attacks.threats import within
from auditor.domain.challenges import Result, Trial
from auditor.domain.tasks import Floats

Measure = Callable[[Given, int], Sized]
"""Holds an example against the threat of the check itself: ``HOLDS`` where that permits it."""
Rewrite = Callable[[Held, Given], Changes]


@dataclass(frozen=True, slots=True, eq=False)
class Median:
    """A figure beside the curve: the lower median of ``sizes[n]``, over the rows of ``among``.

    ``size`` says which size a row would have by an example: its distance, or what moves in it.
    """

    sizes: Floats
    among: Mask
    size: Callable[[Given, Trial], float]

    def counting(self, reached: Mapping[int, Sequence[Trial]], given: Given) -> set[int]:
        """Return the examples, all that mislead by place, without which it would stand higher.

        They count together: one alone often moves no median.
        """
        least = self.sizes.copy()
        for place, trials in reached.items():
            least[place] = min([least[place], *(self.size(given, item) for item in trials)])
        middle = lower_median(least[self.among])
        if within(np.array([lower_median(self.sizes[self.among])]), middle)[0]:
            return set()
        return {
            item.example
            for place, trials in reached.items()
            for item in trials
            if self.size(given, item) <= middle < self.sizes[place]
        }


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """Rows ``ids`` that an attack was thrown at, and how far away it broke each of them.

    A row that an example breaks within a smaller budget than the attack did counts as broken there;
    so does a nearer one of examples that together lower one of ``medians``.
    """

    ids: Sequence[str]
    seen: Outcomes
    measure: Measure
    rewrite: Rewrite
    medians: tuple[Median, ...]

    def weigh(self, check: str, given: Given) -> Verdict:
        """Try every example."""
        trials = tried(check, self, given)
        places = {name: at for at, name in enumerate(self.ids)}
        reached: dict[int, list[Trial]] = {}
        for item in trials:
            again = item.result is Result.BROKEN_BEFORE and given.misled(
                item.example, self.seen.goal
            )
            if again or item.result is Result.HOLDS:
                reached.setdefault(places[item.row], []).append(item)
        counting = set[int]().union(*(one.counting(reached, given) for one in self.medians))
        told = (
            replace(item, result=Result.HOLDS) if item.example in counting else item
            for item in trials
        )
        return counted(self, tuple(told), given)

    def judge(self, at: int, place: int, given: Given) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        goal = self.seen.goal
        if self.seen.wrong[place] or given.wrong(at, goal):
            return Result.WRONG_BEFORE, ()
        result, size = self.measure(given, at)
        if result is not Result.HOLDS:
            return result, size
        if within(self.seen.breaking[place : place + 1], size[1])[0]:
            return Result.BROKEN_BEFORE, size
        return Result.HOLDS if given.misled(at, goal) else Result.NOT_MISCLASSIFIED, size

    def changes(self, held: Held, given: Given) -> Changes:
        """Return the evidence that would be another had the audit seen these itself."""
        return self.rewrite(held, given)


def smallest(budgets: Sequence[float], distance: float) -> float | None:
    """Return the smallest budget that a distance keeps, rounding error forgiven."""
    size = np.array([distance])
    return next((float(eps) for eps in budgets if within(size, eps)[0]), None)


def nearest(sizes: Floats, among: Mask | None = None) -> Median:
    """Return the median of the distances at which rows break; ``among`` are all by default."""
    every = np.ones(len(sizes), dtype=np.bool_)
    return Median(sizes, every if among is None else among, lambda _, trial: trial.distance or 0.0)


def lower_median(sizes: Floats) -> float:
    """Return the lower median, 0 of none."""
    return float(np.sort(sizes)[(len(sizes) + 1) // 2 - 1]) if len(sizes) else 0.0
