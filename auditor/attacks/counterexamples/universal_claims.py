"""Claims of robustness to universal perturbations: one change counts by the rows that it breaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.counterexamples.norm_ball_claims import (
    NOTHING_MOVES,
    explain_no_claim,
    smallest_budgets,
    update_examples,
)
from auditor.attacks.counterexamples.refutable_claims import (
    Changes,
    ClaimOutcome,
    Claims,
    claims_from_evidence,
)
from auditor.attacks.counterexamples.submission import ChallengeContext, CounterexampleBatch
from auditor.attacks.evasion.evidence import Mask, RowOutcomes, recount_rows
from auditor.attacks.evasion.holdout import too_few_rows_gap
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.universal import first_breaking_perturbation
from auditor.domain.challenges import CounterexampleKind, ExampleResult, ExampleTrial
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class UniversalRobustnessClaim:
    """What one perturbation a budget left standing, of rows that it was not fitted on."""

    evidence: Evidence

    def weigh(self, check: str, given: CounterexampleBatch) -> ClaimOutcome:
        """Put every perturbation on all judged rows, one perturbation after the other.

        One that holds takes the place of the audit's own at one budget, and the next has to do
        better than both: rows that different perturbations break are never put together.
        """
        run = _UniversalClaimRun(self.evidence, given.ground)
        trials = tuple(run.tried(check, at, given.inputs[at]) for at in range(len(given.inputs)))
        return ClaimOutcome(trials, run.changes() if run.put else None)


@dataclass(slots=True, eq=False)
class _UniversalClaimRun:
    """All judged rows, and what the perturbation of each budget does to them, so far.

    ``alone`` is ``[budgets, n, classes]``, ``put`` the places of budgets whose perturbation was
    given, and the rows ``[n, ...]`` as that changes them.
    """

    evidence: Evidence
    ground: ChallengeContext
    seen: RowOutcomes = field(init=False)
    rows: Array = field(init=False)
    still: Mask = field(init=False)
    alone: Floats = field(init=False)
    perturbations: Floats = field(init=False)
    put: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Ask about the rows as they are: one that is wrong by now is no success of a change."""
        self.seen = recount_rows(self.evidence)
        ids = cast("Sequence[str]", self.evidence["ids"])
        self.rows = self.ground.inputs[[self.ground.places[name] for name in ids]]
        wrong = self.seen.goal.reached(self.ground.ask(self.rows), self.seen.labels)
        self.still = ~self.seen.wrong & ~wrong
        self.alone = cast("Floats", self.evidence["alone_probabilities"]).copy()
        self.perturbations = cast("Floats", self.evidence["perturbations"]).copy()

    def tried(self, check: str, at: int, given: Array) -> ExampleTrial:
        """Try one perturbation, and keep it where it breaks more rows than what is there."""
        change = given.astype(np.float64)
        distance, place, result = self._measured(change)
        if result is not ExampleResult.HOLDS:
            return ExampleTrial(at, "", check, result, "not asked", distance)
        eps = self.seen.budgets[place]
        # What the target says to all rows under a change, and these rows. Each keeps its box and
        # its steps, as under the check's own perturbations. What a threat does not permit, or what
        # is wrong by now without it, stays as it was.
        threat = self.ground.threat(Norm.LINF, eps)
        ball = threat.around(self.rows)
        moved = ball.settle(ball.project(self.rows.astype(np.float64) + change))
        allowed = threat.permits(self.rows, moved) & self.still
        said = cast("Floats", self.evidence["clean_probabilities"]).copy()
        if allowed.any():
            said[allowed] = self.ground.ask(moved[allowed])
        better = self._better(said, place)
        if better is None:
            result = ExampleResult.NO_WORSE
        else:
            self.alone[better], self.put[better] = said, moved
            self.perturbations[better] = change
        fell = int(self._reached(said[None])[0].sum())
        told = f"{fell} of {int((~self.seen.wrong).sum())} rows wrong"
        return ExampleTrial(at, "", check, result, told, distance, eps)

    def _measured(self, change: Floats) -> tuple[float, int, ExampleResult]:
        """Return a perturbation's size in ranges, and the place of the budget that it keeps."""
        budgets = self.seen.budgets
        threat = self.ground.threat(Norm.LINF, budgets[-1])
        still = np.zeros((1, *change.shape))
        distance = float(threat.distance(still, change[None])[0])
        least = smallest_budgets(budgets, distance)
        if least is None:
            return distance, -1, ExampleResult.OUTSIDE_BUDGET
        if (change[~self.ground.threat(Norm.LINF, least).movable] != 0).any():
            return distance, -1, ExampleResult.OUTSIDE_SPACE
        return distance, budgets.index(least), ExampleResult.HOLDS

    def _reached(self, alone: Floats) -> Mask:
        """Return which rows each of some perturbations breaks by itself."""
        goal, labels = self.seen.goal, self.seen.labels
        fell = [goal.reached(said, labels) & ~self.seen.wrong for said in alone]
        return np.array(fell, dtype=np.bool_)

    def _counts(self, alone: Floats) -> NDArray[np.int64]:
        """Return how many rows count as broken at each budget, as the check counts them."""
        reached = np.logical_or.accumulate(self._reached(alone), axis=0)
        return np.asarray(reached.sum(axis=1))

    def _better(self, said: Floats, least: int) -> int | None:
        """Return the budget at which a perturbation lowers some figure and raises none."""
        before, found = self._counts(self.alone), dict[int, int]()
        for place in range(least, len(self.seen.budgets)):
            alone = self.alone.copy()
            alone[place] = said
            after = self._counts(alone)
            if (after >= before).all() and (after > before).any():
                found[place] = int(after.sum())
        return max(found, key=lambda place: found[place]) if found else None

    def changes(self) -> Changes:
        """Return the evidence as it were with these perturbations in their places."""
        budgets, reached = self.seen.budgets, self._reached(self.alone)
        breaking, rows = first_breaking_perturbation(reached, budgets), np.arange(len(self.rows))
        fell = np.isfinite(breaking)
        chosen = np.where(fell, reached.argmax(axis=0), len(budgets) - 1)
        shown = {
            int(row): self.put[int(chosen[row])][row]
            for row in np.flatnonzero(fell)
            if int(chosen[row]) in self.put
        }
        return {
            "adversarial_probabilities": self.alone[chosen, rows],
            "alone_probabilities": self.alone,
            "distance": np.where(fell, breaking, budgets[-1]),
            "perturbations": self.perturbations,
            **update_examples(self.evidence, shown),
        }


def _spread(evidence: Evidence) -> Claims | str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    gap = too_few_rows_gap(cast("dict[str, Json]", settings))
    if gap is not None:
        return explain_no_claim(gap.detail)
    if not any(cast("Sequence[int]", settings["movable"])):
        return explain_no_claim(NOTHING_MOVES)
    return {"": UniversalRobustnessClaim(evidence)}


SPREAD = claims_from_evidence(CounterexampleKind.PERTURBATIONS, _spread)
"""One perturbation for all rows, which has to break more of them than the record counts."""
