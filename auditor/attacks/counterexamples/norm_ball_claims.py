"""Robustness claims and the counterexamples that refute them, measured within a norm ball.

The claims come from norm attacks, patches, decision-based walks and attacks of other libraries.
A row that withstood an attack is robust only as far as that attack suite could search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.counterexamples.refutable_claims import (
    ChallengeableClaim,
    Changes,
    ClaimOutcome,
    Claims,
    Held,
    Sized,
    claims_from_evidence,
    judge_examples,
    merge_examples,
)
from auditor.attacks.counterexamples.submission import CounterexampleBatch
from auditor.attacks.evasion.evidence import Mask, RowOutcomes, recount_rows
from auditor.attacks.evasion.holdout import too_few_rows_gap
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.patch_campaign import SquareConstraint, square_sides
from auditor.attacks.evasion.readings import distance_ceiling
from auditor.attacks.evasion.row_evidence import split_by_attack, split_by_norm
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.challenges import CounterexampleKind, ExampleResult, ExampleTrial
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats

Measure = Callable[[CounterexampleBatch, int], Sized]
"""Holds an example against the threat of the check itself: ``HOLDS`` where that permits it."""
Rewrite = Callable[[Held, CounterexampleBatch], Changes]


@dataclass(frozen=True, slots=True, eq=False)
class BreakingMedian:
    """A figure beside the curve: the lower median of ``sizes[n]``, over the rows of ``among``.

    ``size`` says which size a row would have by an example: its distance, or what moves in it.
    """

    sizes: Floats
    among: Mask
    size: Callable[[CounterexampleBatch, ExampleTrial], float]

    def counting(
        self, reached: Mapping[int, Sequence[ExampleTrial]], given: CounterexampleBatch
    ) -> set[int]:
        """Return the examples, all that mislead by place, without which it would stand higher.

        They count together: one alone often moves no median.
        """
        least = self.sizes.copy()
        for place, trials in reached.items():
            least[place] = min([least[place], *(self.size(given, item) for item in trials)])
        middle = lower_median(least[self.among])
        if is_within_budget(np.array([lower_median(self.sizes[self.among])]), middle)[0]:
            return set()
        return {
            item.example
            for place, trials in reached.items()
            for item in trials
            if self.size(given, item) <= middle < self.sizes[place]
        }


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessClaim:
    """Rows ``ids`` that an attack was thrown at, and how far away it broke each of them.

    A row that an example breaks within a smaller budget than the attack did counts as broken there;
    so does a nearer one of examples that together lower one of ``medians``.
    """

    ids: Sequence[str]
    seen: RowOutcomes
    measure: Measure
    rewrite: Rewrite
    medians: tuple[BreakingMedian, ...]

    def weigh(self, check: str, given: CounterexampleBatch) -> ClaimOutcome:
        """Try every example."""
        trials = judge_examples(check, self, given)
        places = {name: at for at, name in enumerate(self.ids)}
        reached: dict[int, list[ExampleTrial]] = {}
        for item in trials:
            again = item.result is ExampleResult.BROKEN_BEFORE and given.misled(
                item.example, self.seen.goal
            )
            if again or item.result is ExampleResult.HOLDS:
                reached.setdefault(places[item.row], []).append(item)
        counting = set[int]().union(*(one.counting(reached, given) for one in self.medians))
        told = (
            replace(item, result=ExampleResult.HOLDS) if item.example in counting else item
            for item in trials
        )
        return merge_examples(self, tuple(told), given)

    def judge(self, at: int, place: int, given: CounterexampleBatch) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        goal = self.seen.goal
        if self.seen.wrong[place] or given.wrong(at, goal):
            return ExampleResult.WRONG_BEFORE, ()
        result, size = self.measure(given, at)
        if result is not ExampleResult.HOLDS:
            return result, size
        if is_within_budget(self.seen.breaking[place : place + 1], size[1])[0]:
            return ExampleResult.BROKEN_BEFORE, size
        return ExampleResult.HOLDS if given.misled(
            at, goal
        ) else ExampleResult.NOT_MISCLASSIFIED, size

    def changes(self, held: Held, given: CounterexampleBatch) -> Changes:
        """Return the evidence that would be another had the audit seen these itself."""
        return self.rewrite(held, given)


def smallest_budgets(budgets: Sequence[float], distance: float) -> float | None:
    """Return the smallest budget that a distance keeps, rounding error forgiven."""
    size = np.array([distance])
    return next((float(eps) for eps in budgets if is_within_budget(size, eps)[0]), None)


def median_breaking_distance(sizes: Floats, among: Mask | None = None) -> BreakingMedian:
    """Return the median of the distances at which rows break; ``among`` are all by default."""
    every = np.ones(len(sizes), dtype=np.bool_)
    return BreakingMedian(
        sizes, every if among is None else among, lambda _, trial: trial.distance or 0.0
    )


def lower_median(sizes: Floats) -> float:
    """Return the lower median, 0 of none."""
    return float(np.sort(sizes)[(len(sizes) + 1) // 2 - 1]) if len(sizes) else 0.0


NOTHING_MOVES = "the record found nothing in a row that an attacker may change"


def measure_example(
    given: CounterexampleBatch, at: int, norm: Norm, budgets: Sequence[float]
) -> Sized:
    """Return the distance of an example and the smallest budget that it keeps, or why none.

    The frame's own threat decides, as it does for every candidate of an attack.
    """
    clean, inputs = given.pair(at)
    distance = float(given.ground.threat(norm, budgets[-1]).distance(clean, inputs)[0])
    least = smallest_budgets(budgets, distance)
    fitting = [] if least is None else [eps for eps in budgets if eps >= least]
    for eps in fitting:
        if given.ground.threat(norm, eps).permits(clean, inputs)[0]:
            return ExampleResult.HOLDS, (distance, eps)
    return ExampleResult.OUTSIDE_SPACE if fitting else ExampleResult.OUTSIDE_BUDGET, (distance,)


def _in_a_square(given: CounterexampleBatch, at: int, budgets: Sequence[float]) -> Sized:
    """Return the pixels of the smallest square that holds all changes, and the least patch of them.

    Budgets are pixels of squares, as the check counts them.
    """
    clean, inputs = given.pair(at)
    pixels = float(square_sides(clean, inputs)[0] ** 2)
    least = smallest_budgets(budgets, pixels)
    if least is None:
        return ExampleResult.OUTSIDE_BUDGET, (pixels,)
    square = SquareConstraint(round(least**0.5))
    if given.ground.threat(Norm.L0, least, square).permits(clean, inputs)[0]:
        return ExampleResult.HOLDS, (pixels, least)
    return ExampleResult.OUTSIDE_SPACE, (pixels,)


def build_ball_claim(evidence: Evidence) -> ChallengeableClaim:
    """Return what an attack in a norm claims, whatever it knew of the model."""
    norm = Norm(str(cast("Mapping[str, Json]", evidence["settings"])["norm"]))
    seen = recount_rows(evidence)
    return _attack(evidence, seen, lambda given, at: measure_example(given, at, norm, seen.budgets))


def _attack(evidence: Evidence, seen: RowOutcomes, measure: Measure) -> ChallengeableClaim:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    most = distance_ceiling(Norm(str(settings["norm"])), cast("int", settings["coordinates"]))
    sizes = np.where(seen.right[-1], most, np.minimum(seen.breaking, most))
    ids = cast("Sequence[str]", evidence["ids"])
    rewrite = partial(_with_broken, evidence)
    return RobustnessClaim(ids, seen, measure, rewrite, (median_breaking_distance(sizes),))


def _with_broken(evidence: Evidence, held: Held, given: CounterexampleBatch) -> Changes:
    said = cast("Floats", evidence["adversarial_probabilities"]).copy()
    distance = cast("Floats", evidence["distance"]).copy()
    shown: dict[int, Array] = {}
    for place, (trial, *_) in held.items():
        said[place], distance[place] = given.said[trial.example], trial.distance
        shown[place] = given.inputs[trial.example]
    return {
        "adversarial_probabilities": said, "distance": distance, **update_examples(evidence, shown),
    }  # fmt: skip


def update_examples(evidence: Evidence, broken: Mapping[int, Array]) -> dict[str, Item]:
    """Return the examples that evidence shows, with those of newly broken rows in their place.

    Figures measure the examples that are shown anew.
    """
    if "example_places" not in evidence:
        return {}
    shown = cast("Array", evidence["example_adversarial"]).copy()
    places = cast("NDArray[np.int64]", evidence["example_places"])
    for index, place in enumerate(places.tolist()):
        if place in broken:
            shown[index] = broken[place]
    return {"example_adversarial": shown}


def _balls(evidence: Evidence) -> Claims | str:
    return _unless_still(evidence) or {"": build_ball_claim(evidence)}


def _apart(evidence: Evidence) -> Claims | str:
    """Return the claims of an attack that was judged on rows other than it was prepared on."""
    gap = too_few_rows_gap(cast("dict[str, Json]", evidence["settings"]))
    return _balls(evidence) if gap is None else explain_no_claim(gap.detail)


def _patches(evidence: Evidence) -> Claims | str:
    if "shorter_side" not in evidence:
        return explain_no_claim("nothing was covered")
    seen = recount_rows(evidence)
    claim = _attack(evidence, seen, lambda given, at: _in_a_square(given, at, seen.budgets))
    return _unless_still(evidence) or {"": claim}


def _walks(evidence: Evidence) -> Claims | str:
    """Return one claim a norm: the evidence of the second begins with its name."""
    norms = split_by_norm(evidence).items()
    found = {prefix: build_ball_claim(own) for prefix, own in norms if not _unless_still(own)}
    return found or _unless_still(evidence)


def _art(evidence: Evidence) -> Claims | str:
    still = _unless_still(evidence)
    found = {f"{name}.": build_ball_claim(own) for name, own in split_by_attack(evidence).items()}
    return still or found or explain_no_claim("no attack of the toolbox was run")


def _unless_still(evidence: Evidence) -> str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    return (
        "" if any(cast("Sequence[int]", settings["movable"])) else explain_no_claim(NOTHING_MOVES)
    )


def explain_no_claim(why: str) -> str:
    """Return why there is nothing to challenge, where a check had nothing to say."""
    return f"the record claims nothing by it: {why.rstrip('.')}"


BALL = claims_from_evidence(CounterexampleKind.INPUTS, _balls)
"""Inputs within the budgets of a norm."""
TRANSFERRED = claims_from_evidence(CounterexampleKind.INPUTS, _apart)
"""The same, of an attack that was prepared on other rows: by whatever knowledge they were made."""
PATCH = claims_from_evidence(CounterexampleKind.INPUTS, _patches)
"""Pictures of which one square was changed."""
WALKS = claims_from_evidence(CounterexampleKind.INPUTS, _walks)
"""Inputs in the norms of walks, where also a smaller distance counts."""
TOOLBOX = claims_from_evidence(CounterexampleKind.INPUTS, _art)
"""Inputs within the budgets, against what each attack of the toolbox left standing."""
