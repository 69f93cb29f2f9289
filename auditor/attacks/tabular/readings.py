"""Readings of an attack on tabular rows; every success is counted again from the evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.evidence import Mask, RowOutcomes, read_goal
from auditor.attacks.evasion.goals import HarmfulDecisionGoal
from auditor.attacks.evasion.readings import (
    class_coordinates,
    describe_success,
    expected_costs,
    find_cheapest_attack,
    find_necessary_attacks,
    list_moving_budgets,
    median_interval,
    robust_accuracy_by_class,
    robust_accuracy_by_group,
    still_budget_gap,
)
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.tasks import FILLED, Floats
from auditor.metrics.stats.proportions import clopper_pearson

MOST_NAMED = 8
FEATURES = "Declare features that an attacker can change in input.features, or a larger eps."


def build_tabular_readings(
    evidence: Evidence, confidence: float, effort: Mapping[str, Json]
) -> tuple[Reading, ...]:
    """Return clean accuracy, robust accuracy at each budget, and what a break takes.

    Where the task has costs, also what decisions cost at each budget.

    ``effort`` says how hard the attack tried, and joins the details.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "undefined" in settings:
        return (nothing_to_attack_gap(str(settings["undefined"])),)
    if not any(cast("Sequence[int]", settings["movable"])):
        return (nothing_to_attack_gap("An attacker may move none of the features at any eps."),)
    outcomes = recount_table(evidence)
    minimal = TabularCounterexamples.of(evidence, outcomes)
    seen = _TabularEvidence(evidence, settings, outcomes, minimal, confidence)
    shared = {**effort, **seen.shared(), **describe_success(outcomes, evidence)}
    moving = list_moving_budgets(settings, outcomes.budgets)
    curve = [
        seen.robust(index, shared)
        if eps in moving
        else still_budget_gap(eps, {"eps": eps, **seen.place})
        for index, eps in enumerate(outcomes.budgets)
    ]
    costs = expected_costs(evidence, outcomes, confidence, seen.place)
    return (seen.clean(), *curve, *costs, seen.breaking(shared), seen.features_moved(shared))


def nothing_to_attack_gap(detail: str) -> Gap:
    """Return the Gap of an attack on the rows of a table that has none, or none to move."""
    return Gap(reason=GapReason.NOT_DEFINED, detail=detail, cure=FEATURES)


def recount_table(evidence: Evidence) -> RowOutcomes:
    """Count again which rows the target got wrong, and which of its candidates can exist."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    clean = cast("Floats", evidence["clean_probabilities"])
    harmed = goal.reached(clean, labels)
    reached = goal.reached(cast("Floats", evidence["adversarial_probabilities"]), labels)
    possible = np.zeros(len(labels), dtype=np.bool_)
    rows = cast("NDArray[np.int64]", evidence["crafted_rows"])
    possible[rows] = cast("Mask", evidence["crafted_kept"]).all(axis=1)
    found = np.where(reached & possible, cast("Floats", evidence["distance"]), np.inf)
    # 0 stands for rows that were harmed without attack; codes alone take no budget either.
    harming = np.where(harmed, 0.0, np.maximum(found, np.finfo(np.float64).tiny))
    wrong = (
        harmed | goal.rejected(clean, labels) if isinstance(goal, HarmfulDecisionGoal) else harmed
    )
    budgets = tuple(float(eps) for eps in cast("Sequence[float]", settings["eps"]))
    return RowOutcomes(goal, labels, budgets, wrong, np.where(wrong, 0.0, found), harming)


@dataclass(frozen=True, slots=True, eq=False)
class TabularCounterexamples:
    """Rows that were right, with a minimal counterexample that can exist and reaches the goal.

    ``moved`` is ``[m, units]``, measured anew where both inputs are at hand.
    """

    rows: NDArray[np.int64]
    moved: Mask
    certain: Mask

    @classmethod
    def of(cls, evidence: Evidence, seen: RowOutcomes) -> "TabularCounterexamples":
        """Read them from evidence."""
        settings = cast("Mapping[str, Json]", evidence["settings"])
        rows = cast("NDArray[np.int64]", evidence["minimal_rows"])
        said = cast("Floats", evidence["minimal_probabilities"])
        good = seen.goal.reached(said, seen.labels[rows]) & ~seen.wrong[rows]
        good &= cast("Mask", evidence["minimal_kept"]).all(axis=1)
        moved = cast("Mask", evidence["minimal_moved"]).copy()
        if "example_clean" in evidence:
            places = cast("NDArray[np.int64]", evidence["example_places"])
            apart = np.asarray(evidence["example_clean"] != evidence["example_adversarial"])
            units = cast("Sequence[Mapping[str, Sequence[int]]]", settings["units"])
            found = [apart[:, list(unit["columns"])].any(axis=1) for unit in units]
            moved[places] |= np.stack(found, axis=1)
        certain = cast("Mask", evidence["minimal_certain"])
        return cls(rows[good], moved[good], certain[good])


@dataclass(frozen=True, slots=True, eq=False)
class _TabularEvidence:
    evidence: Evidence
    settings: Mapping[str, Json]
    outcomes: RowOutcomes
    minimal: TabularCounterexamples
    confidence: float

    @property
    def place(self) -> dict[str, Scalar]:
        """The coordinates of every reading: the classes, where some were asked for."""
        return dict(class_coordinates(self.settings))

    @property
    def log(self) -> Sequence[Mapping[str, Json]]:
        """The bills of all attacks."""
        return cast("Sequence[Mapping[str, Json]]", self.settings["log"])

    def shared(self) -> dict[str, Json]:
        """Return details that every reading carries."""
        left_out = cast("Sequence[str]", self.settings["left_out"])
        names = ("deterministic", "repeats", "most_features", "skipped", "twin_distance", FILLED)
        return {
            **{name: self.settings[name] for name in names if name in self.settings},
            "rows": len(self.outcomes.wrong),
            "left_out": len(left_out),
            "left_out_rows": list(left_out[:MOST_NAMED]),
            "relations": self.settings["relations"],
        }

    def clean(self) -> Measurement:
        """Return the share of rows that are right before any attack."""
        return self._share(~self.outcomes.wrong, "clean_accuracy", {}, {})

    def robust(self, index: int, shared: Mapping[str, Json]) -> Measurement:
        """Return the share of rows that nothing within one budget breaks."""
        seen, eps, kept = self.outcomes, self.outcomes.budgets[index], self.outcomes.right[index]
        groups = cast("Mapping[str, Sequence[str]]", self.evidence["groups"])
        here = [bill for bill in self.log if bill["eps"] == eps]
        totals = {
            name: sum(cast("int", bill[name]) for bill in here)
            for name in ("queries", "passes", "refused")
        }
        details: dict[str, Json] = {
            **shared,
            **totals,
            "phantoms": max((cast("int", bill["phantoms"]) for bill in here), default=0),
            "log": [dict(bill) for bill in here],
            "movable": cast("Sequence[Json]", self.settings["movable"])[index],
            "wrong_without_attack": int(seen.wrong.sum()),
            "broken": int(seen.broken[index].sum()),
            "by_class": robust_accuracy_by_class(seen, kept, self.confidence),
            "by_group": robust_accuracy_by_group(groups, kept, self.confidence),
        }
        return self._share(kept, "robust_accuracy", {"eps": eps}, details)

    def breaking(self, shared: Mapping[str, Json]) -> Measurement:
        """Return the budget that breaks half of the rows, 1 where none was found."""
        seen = self.outcomes
        found = np.where(seen.right[-1], 1.0, np.minimum(seen.breaking, 1.0))
        details: dict[str, Json] = {
            **shared,
            **self._named(),
            "largest_eps": seen.budgets[-1],
            "unbroken_share": float(seen.right[-1].mean()),
            "cheapest": find_cheapest_attack(self.log),
            "needed": find_necessary_attacks(self.log),
        }
        interval = median_interval(found, self.confidence, 1.0)
        return Measurement.of(
            interval, "min_breaking_eps", Unit.SHARE, bound=BoundKind.AT_MOST, details=details,
            params=self.place, repeat=self._repeat, doubted=not self.settings["deterministic"],
        )  # fmt: skip

    def features_moved(self, shared: Mapping[str, Json]) -> Reading:
        """Return how many units have to move in the median row that was right.

        Rows that nothing broke count as all units: a stronger attack then only lowers the figure.
        """
        counts = self.minimal.moved.sum(axis=1).astype(np.float64)
        if not len(counts):
            return Gap(
                reason=GapReason.NOT_DEFINED,
                detail="No row broke: there is no counterexample to count the moves of.",
                cure="Look at robust_accuracy, or attack harder.",
                metric="features_moved",
                params=self.place,
            )
        details: dict[str, Json] = {
            **shared,
            **self._named(),
            "counterexamples": len(counts),
            "not_certain": int((~self.minimal.certain).sum()),
            "by_count": {str(n): int((counts == n).sum()) for n in sorted(set(counts.astype(int)))},
            "moved": self._moved(),
        }
        most = float(len(cast("Sequence[Json]", self.settings["units"])))
        standing = int((~self.outcomes.wrong).sum()) - len(counts)
        told = np.concatenate([counts, np.full(max(standing, 0), most)])
        interval = median_interval(told, self.confidence, most)
        return Measurement.of(
            interval, "features_moved", Unit.COUNT, bound=BoundKind.AT_MOST, details=details,
            params=self.place, repeat=self._repeat, doubted=not self.settings["deterministic"],
        )  # fmt: skip

    def _moved(self) -> list[Json]:
        """Return the units that counterexamples move most often, and each column's mean change."""
        units = cast("Sequence[Mapping[str, Json]]", self.settings["units"])
        names = cast("Sequence[str]", self.settings["columns"])
        mean = cast("Floats", self.evidence["mean_change"])
        share = self.minimal.moved.mean(axis=0)
        found: list[Json] = []
        for place in np.argsort(-share, kind="stable")[:MOST_NAMED]:
            columns = cast("Sequence[int]", units[place]["columns"])
            changes: dict[str, Json] = {names[column]: float(mean[column]) for column in columns}
            if share[place] > 0:
                told = {"feature": units[place]["name"], "share": float(share[place])}
                found.append({**told, "mean_change": changes})
        return found

    def _named(self) -> dict[str, Json]:
        ids = cast("Sequence[str]", self.evidence["ids"])
        order = np.argsort(self.outcomes.breaking, kind="stable")
        worst = [int(row) for row in order if self.outcomes.broken[-1, row]][:MOST_NAMED]
        shown = cast("Sequence[str]", self.evidence.get("example_rows", ()))
        return {"worst_rows": [ids[row] for row in worst], "examples": list(shown)}

    @property
    def _repeat(self) -> Repeatability:
        return Repeatability.EXACT if self.settings["deterministic"] else Repeatability.INTERVAL

    def _share(
        self, kept: Mask, metric: str, params: Mapping[str, float], details: Mapping[str, Json]
    ) -> Measurement:
        robust = metric == "robust_accuracy"
        return Measurement.of(
            clopper_pearson(int(kept.sum()), len(kept), self.confidence),
            metric,
            Unit.SHARE,
            bound=BoundKind.AT_MOST if robust else BoundKind.ESTIMATE,
            params={**params, **self.place},
            repeat=self._repeat,
            doubted=not self.settings["deterministic"],
            details=details,
        )
