"""Claims of robustness of table rows, refuted only by rows that keep the schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.counterexamples.norm_ball_claims import (
    NOTHING_MOVES,
    BreakingMedian,
    RobustnessClaim,
    explain_no_claim,
    median_breaking_distance,
    smallest_budgets,
    update_examples,
)
from auditor.attacks.counterexamples.refutable_claims import (
    Changes,
    ClaimOutcome,
    Claims,
    Held,
    Sized,
    claims_from_evidence,
)
from auditor.attacks.counterexamples.submission import CounterexampleBatch
from auditor.attacks.evasion.evidence import RowOutcomes
from auditor.attacks.tabular.attack import TabularThreat, build_tabular_threat
from auditor.attacks.tabular.constraints.reachable_box import find_moved_units, find_reachable_box
from auditor.attacks.tabular.evidence import check_relations
from auditor.attacks.tabular.readings import TabularCounterexamples, recount_table
from auditor.domain.challenges import CounterexampleKind, ExampleResult, ExampleTrial
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats

WHOLE_RANGE = 1.0
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TableEvidenceUpdate:
    """The evidence of an attack on a table, with rows that examples break.

    A row may be there already, with a candidate of a larger budget or of more moved units. Each
    of the two gives way to its own: what moves fewer units may lie farther away.
    """

    evidence: Evidence
    seen: RowOutcomes
    given: CounterexampleBatch
    rules: TabularThreat

    def changes(self, held: Held) -> Changes:
        """Return what is another."""
        said = cast("Floats", self.evidence["adversarial_probabilities"]).copy()
        distance = cast("Floats", self.evidence["distance"]).copy()
        nearer = {
            at: trial
            for at, (trial, *_) in held.items()
            if (trial.distance or 0.0) < float(self.seen.breaking[at])
        }
        for place, trial in nearer.items():
            said[place], distance[place] = self.given.said[trial.example], trial.distance
        crafted, _ = self._entered("crafted", {at: trial.example for at, trial in nearer.items()})
        minimal, shown = self._entered("minimal", self._fewest(held))
        return {
            "adversarial_probabilities": said,
            "distance": distance,
            **crafted,
            **minimal,
            **update_examples(self.evidence, shown),
        }

    def _fewest(self, held: Held) -> dict[int, int]:
        """Return the example of each row that moves fewest units, where no minimal one has less."""
        minimal = TabularCounterexamples.of(self.evidence, self.seen)
        known = dict(zip(minimal.rows.tolist(), minimal.moved.sum(axis=1).tolist(), strict=True))
        found: dict[int, int] = {}
        for place, trials in held.items():
            counts = {
                item.example: int(self.rules.units(*self.given.pair(item.example))[0])
                for item in trials
            }
            example = min(counts, key=lambda item: counts[item])
            if place not in known or counts[example] < known[place]:
                found[place] = example
        return found

    def _columns(self, example: int) -> dict[str, NDArray[Any]]:
        """Return what evidence holds of a counterexample, each as ``[1, ...]``."""
        clean, point = self.given.pair(example)
        return {
            "": point,
            "kept": check_relations(self.rules.constraints, point),
            "moved": find_moved_units(self.rules.constraints, clean, point),
            "probabilities": self.given.said[example : example + 1],
            "certain": np.zeros(1, dtype=np.bool_),
        }

    def _entered(
        self, name: str, chosen: Mapping[int, int]
    ) -> tuple[dict[str, Item], dict[int, Array]]:
        """Enter examples, by the places of their rows, into what is listed under a name.

        Returns the lists, and the examples by where they now stand in them.
        """
        rows = cast("Rows", self.evidence[f"{name}_rows"])
        at = {int(row): index for index, row in enumerate(rows)}
        for place in chosen:
            at.setdefault(place, len(at))
        made = {at[place]: self._columns(example) for place, example in chosen.items()}
        found: dict[str, Item] = {f"{name}_rows": np.array(list(at), dtype=rows.dtype)}
        for part in ("", "kept", "moved", "probabilities", "certain"):
            key = f"{name}_{part}" if part else name
            if key in self.evidence:
                known = cast("NDArray[Any]", self.evidence[key])
                # A list of `count` values, those of `put` in their places
                put = {index: made[index][part] for index in made}
                listed = np.concatenate(
                    [known, np.zeros((len(at) - len(known), *known.shape[1:]), known.dtype)]
                )
                for index, value in put.items():
                    listed[index] = value[0]
                found[key] = listed
        return found, {index: columns[""][0] for index, columns in made.items()}


def _measured(
    given: CounterexampleBatch, at: int, rules: TabularThreat, budgets: Sequence[float]
) -> Sized:
    """Return the least budget that allows a change and the one that it keeps, or why none does."""
    clean, point = given.pair(at)
    distance = float(rules.distance(clean, point)[0])
    least = smallest_budgets(budgets, distance)
    few = not rules.most_features or rules.units(clean, point)[0] <= rules.most_features
    if least is None or not few:
        return ExampleResult.OUTSIDE_BUDGET, (distance,)
    for eps in (item for item in budgets if item >= least):
        if rules.permits(find_reachable_box(rules.constraints, clean, eps), point)[0]:
            return ExampleResult.HOLDS, (distance, eps)
    return ExampleResult.OUTSIDE_SPACE, (distance,)


@dataclass(frozen=True, slots=True, eq=False)
class TableRobustnessClaim:
    """What an attack on a table left standing, by rows that could exist alone."""

    evidence: Evidence

    def weigh(self, check: str, given: CounterexampleBatch) -> ClaimOutcome:
        """Try every example by the rules of the schema and the budgets of the check."""
        settings = cast("Mapping[str, Json]", self.evidence["settings"])
        most = cast("int", settings["most_features"])
        rules = build_tabular_threat(given.ground.declared, most, whole=given.ground.whole)
        seen = recount_table(self.evidence)
        attack = RobustnessClaim(
            cast("Sequence[str]", self.evidence["ids"]),
            seen,
            lambda own, at: _measured(own, at, rules, seen.budgets),
            lambda held, own: TableEvidenceUpdate(self.evidence, seen, own, rules).changes(held),
            _medians(self.evidence, seen, rules),
        )
        return attack.weigh(check, given)


def _medians(
    evidence: Evidence, seen: RowOutcomes, rules: TabularThreat
) -> tuple[BreakingMedian, BreakingMedian]:
    """Return the budget that breaks the median row, and how many units have to move in it."""
    sizes = np.where(seen.right[-1], WHOLE_RANGE, np.minimum(seen.breaking, WHOLE_RANGE))
    minimal = TabularCounterexamples.of(evidence, seen)
    counts = np.full(len(seen.wrong), float(len(rules.constraints.units)))
    counts[minimal.rows] = minimal.moved.sum(axis=1)

    def units(given: CounterexampleBatch, trial: ExampleTrial) -> float:
        return float(rules.units(*given.pair(trial.example))[0])

    return median_breaking_distance(sizes), BreakingMedian(counts, ~seen.wrong, units)


def _claims(evidence: Evidence) -> Claims | str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "undefined" in settings:
        return explain_no_claim(str(settings["undefined"]))
    if not any(cast("Sequence[int]", settings["movable"])):
        return explain_no_claim(NOTHING_MOVES)
    return {"": TableRobustnessClaim(evidence)}


POSSIBLE = claims_from_evidence(CounterexampleKind.INPUTS, _claims)
"""Rows that the schema allows, within the budgets of the check."""
