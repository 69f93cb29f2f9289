"""What decisions under attack cost, and what an attack counted as success."""

from collections.abc import Mapping
from typing import cast

import numpy as np

from auditor.attacks.goals import Error, Harm
from auditor.attacks.tallies import Outcomes
from auditor.attacks.threats import within
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.readings import Bound, Measurement, Repeat, Scalar, Unit
from auditor.domain.tasks import Floats
from auditor.stats.levels import mean_of_levels


def expected_costs(
    evidence: Evidence, seen: Outcomes, confidence: float, params: Mapping[str, Scalar]
) -> tuple[Measurement, ...]:
    """Return the mean cost of the decisions at each budget; nothing where no costs are given.

    Each row costs what its decision costs, or what the decision on the candidate found within the
    budget does, if that is more. An attacker may find dearer ones: the truth is at least this.
    """
    goal = seen.goal
    if not isinstance(goal, Harm) or not goal.task.costs:
        return ()
    costs = np.array(goal.task.costs)
    levels = tuple(float(cost) for cost in np.unique(costs))
    before = _paid(goal, costs, seen, cast("Floats", evidence["clean_probabilities"]))
    after = _paid(goal, costs, seen, cast("Floats", evidence["adversarial_probabilities"]))
    settings = cast("Mapping[str, Json]", evidence["settings"])
    harming = seen.breaking if seen.harming is None else seen.harming
    details: dict[str, Json] = {
        "without_attack": float(before.mean()),
        "largest_cost": levels[-1],
        "rows": len(before),
    }
    found = []
    for eps in seen.budgets:
        reached = within(harming, eps) & (harming > 0)
        paid = np.where(reached, np.maximum(before, after), before)
        mean = mean_of_levels(paid, levels, confidence)
        found.append(_mean_cost(mean, settings, {"eps": eps, **params}, details))
    return tuple(found)


def _mean_cost(
    mean: Interval,
    settings: Mapping[str, Json],
    params: Mapping[str, Scalar],
    details: Mapping[str, Json],
) -> Measurement:
    return Measurement.of(
        mean,
        "expected_cost",
        Unit.NONE,
        bound=Bound.AT_LEAST,
        params=params,
        repeat=Repeat.EXACT if settings["deterministic"] else Repeat.INTERVAL,
        doubted=not settings["deterministic"],
        details=details,
    )


def asked(settings: Mapping[str, Json]) -> dict[str, str]:
    """Return the coordinates of an attack on one class, or towards one; nothing for any."""
    goal = cast("Mapping[str, Json]", settings["goal"])
    return {name: str(goal[name]) for name in ("label", "decision") if goal.get(name)}


def counted(seen: Outcomes, evidence: Evidence) -> dict[str, Json]:
    """Return details that say what counted as success, where it was not every wrong decision."""
    goal = seen.goal
    if isinstance(goal, Error):
        return {"success": "an error beyond the tolerance", "tolerance": goal.task.tolerance}
    told: dict[str, Json] = {}
    if not isinstance(goal, Harm):
        return told
    task = goal.task
    if task.costs:
        wrong = ~np.eye(len(task.classes), dtype=np.bool_)
        told["success"] = "decisions that cost something"
        told["harmless_confusions"] = int((wrong & ~goal.harmful).sum())
    if task.reject is not None:
        clean = cast("Floats", evidence["clean_probabilities"])
        told["reject"] = task.reject
        told["rejected_without_attack"] = int(goal.rejected(clean, seen.labels).sum())
    return told


def _paid(goal: Harm, costs: Floats, seen: Outcomes, probabilities: Floats) -> Floats:
    paid: Floats = costs[seen.labels, goal.task.decide(probabilities)]
    return paid
