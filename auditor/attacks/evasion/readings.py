"""Readings of evasion attacks: robust accuracy by budget, class and group, and expected costs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.evidence import STILL, Mask, RowOutcomes, recount_rows
from auditor.attacks.evasion.goals import HarmfulDecisionGoal, RegressionErrorGoal
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.row_limits import LEFT_BUDGETS, ROWS_IN_TIME
from auditor.domain.tasks import FILLED, Floats
from auditor.metrics.stats.proportions import clopper_pearson, mean_of_levels
from auditor.metrics.stats.quantiles import quantile
from auditor.metrics.stats.sequential import spend_on_looks


def expected_costs(
    evidence: Evidence, seen: RowOutcomes, confidence: float, params: Mapping[str, Scalar]
) -> tuple[Measurement, ...]:
    """Return the mean cost of the decisions at each budget; nothing where no costs are given.

    Each row costs what its decision costs, or what the decision on the candidate found within the
    budget does, if that is more. An attacker may find dearer ones: the truth is at least this.
    """
    goal = seen.goal
    if not isinstance(goal, HarmfulDecisionGoal) or not goal.task.costs:
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
    for eps in list_moving_budgets(settings, seen.budgets):
        reached = is_within_budget(harming, eps) & (harming > 0)
        paid = np.where(reached, np.maximum(before, after), before)
        mean = mean_of_levels(paid, levels, confidence)
        found.append(
            Measurement.of(
                mean,
                "expected_cost",
                Unit.NONE,
                bound=BoundKind.AT_LEAST,
                params={"eps": eps, **params},
                repeat=Repeatability.EXACT if settings["deterministic"] else Repeatability.INTERVAL,
                doubted=not settings["deterministic"],
                details=details,
            )
        )
    return tuple(found)


def class_coordinates(settings: Mapping[str, Json]) -> dict[str, str]:
    """Return the coordinates of an attack on one class, or towards one; nothing for any."""
    goal = cast("Mapping[str, Json]", settings["goal"])
    return {name: str(goal[name]) for name in ("label", "decision") if goal.get(name)}


def describe_success(seen: RowOutcomes, evidence: Evidence) -> dict[str, Json]:
    """Return details that say what counted as success, where it was not every wrong decision."""
    goal = seen.goal
    if isinstance(goal, RegressionErrorGoal):
        return {"success": "an error beyond the tolerance", "tolerance": goal.task.tolerance}
    told: dict[str, Json] = {}
    if not isinstance(goal, HarmfulDecisionGoal):
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


def _paid(
    goal: HarmfulDecisionGoal, costs: Floats, seen: RowOutcomes, probabilities: Floats
) -> Floats:
    paid: Floats = costs[seen.labels, goal.task.decide(probabilities)]
    return paid


MOST_PARTS = 50
"""Classes or groups that are listed, the least robust first."""


def robust_accuracy_by_class(seen: RowOutcomes, kept: Mask, confidence: float) -> list[Json]:
    """Return robust accuracy of the rows of each class, each with its own exact interval."""
    if not isinstance(seen.goal, HarmfulDecisionGoal):
        return []
    names = [seen.goal.task.classes[label] for label in seen.labels]
    return _parts(names, kept, confidence)


def robust_accuracy_by_group(
    groups: Mapping[str, Sequence[str]], kept: Mask, confidence: float
) -> dict[str, Json]:
    """Return robust accuracy of the rows of each group of people, column by column."""
    return {column: _parts(values, kept, confidence) for column, values in groups.items()}


def find_cheapest_attack(log: Sequence[Mapping[str, Json]]) -> dict[str, Json] | None:
    """Return the attack that paid least for a broken row; ``None`` where nothing broke.

    A query of the target and a gradient of the twin count alike.
    """
    paid = [
        (
            (cast("int", bill["queries"]) + cast("int", bill["passes"]))
            / cast("int", bill["broken"]),
            index,
        )
        for index, bill in enumerate(log)
        if bill["broken"]
    ]
    if not paid:
        return None
    price, index = min(paid)
    bill = log[index]
    return {
        "attack": bill["attack"],
        "eps": bill["eps"],
        "broken": bill["broken"],
        "queries_and_passes_a_row": price,
    }


def find_necessary_attacks(log: Sequence[Mapping[str, Json]]) -> list[Json]:
    """Return the attacks that broke a row which those before them had not, in their order."""
    useful = [str(bill["attack"]) for bill in log if bill["broken"]]
    return list(dict.fromkeys(useful))


def _parts(names: Sequence[str], kept: Mask, confidence: float) -> list[Json]:
    column: NDArray[np.str_] = np.array(names)
    found: list[tuple[float, str, Json]] = []
    for name in sorted(set(names)):
        own = kept[column == name]
        share = clopper_pearson(int(own.sum()), len(own), confidence)
        value = {
            "name": name,
            "rows": len(own),
            "value": share.value,
            "low": share.low,
            "high": share.high,
        }
        found.append((share.value, name, cast("Json", value)))
    return [value for _, _, value in sorted(found, key=lambda item: item[:2])[:MOST_PARTS]]


MOST_NAMED = 8


def build_robustness_readings(
    evidence: Evidence, confidence: float, effort: Mapping[str, Json]
) -> tuple[Reading, ...]:
    """Return clean accuracy, robust accuracy at each budget, and the median breaking change.

    Where the task has costs, also what decisions cost at each budget.

    Successes are counted anew from the target's probabilities and the size of each change.
    ``effort`` says how hard the attack tried, and joins the details.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if not any(cast("Sequence[int]", settings["movable"])):
        return (_nothing_moves(settings),)
    seen = recount_rows(evidence)
    place = reading_coordinates(settings)
    cut = cast("Mapping[str, Any]", evidence.get(ROWS_IN_TIME, {}))
    looks, early = cut.get("looks", 0), bool(cut.get("decided"))
    stated, confidence = confidence, spend_on_looks(confidence, looks, early=early)
    names = ("coordinates", "deterministic", "repeats", "twin_distance", FILLED)
    shared = {
        **effort,
        **{name: settings[name] for name in names if name in settings},
        "rows": len(seen.wrong),
        # Where time ended the attack before, or enough was known
        **({"rows_asked": cut["of"], "decided_early": early} if cut else {}),
        **describe_success(seen, evidence),
    }
    clean = _share(~seen.wrong, "clean_accuracy", confidence, settings, place, {})
    moving = list_moving_budgets(settings, seen.budgets)
    curve = [
        _robust(evidence, seen, index, confidence, shared)
        if eps in moving
        else still_budget_gap(eps, {"eps": eps, **place})
        for index, eps in enumerate(seen.budgets)
    ]
    waiting = cast("Sequence[float]", cut.get(LEFT_BUDGETS, ()))
    curve = [*(_waiting_budget_gap(eps, {"eps": eps, **place}) for eps in waiting), *curve]
    costs = expected_costs(evidence, seen, confidence, place)
    # Name the rows that break by the smallest changes
    ids = cast("Sequence[str]", evidence["ids"])
    order = [int(row) for row in np.argsort(seen.breaking, kind="stable")]
    worst = [row for row in order if seen.broken[-1, row]][:MOST_NAMED]
    shown = cast("Sequence[str]", evidence.get("example_rows", ()))
    named = {
        **shared,
        "worst_rows": [ids[row] for row in worst],
        "examples": list(shown),
        "moved": _moved(evidence),
    }
    found = (clean, *curve, *costs, _breaking(seen, confidence, settings, named))
    return tuple(state_looks(reading, stated, looks) for reading in found)


def state_looks(reading: Reading, confidence: float, looks: int) -> Reading:
    """Return a figure whose interval holds at a confidence after looks, and say so."""
    if not looks or isinstance(reading, Gap):
        return reading
    method = f"{reading.method}, for {looks} looks"
    return replace(reading, confidence=confidence, method=method)


def reading_coordinates(settings: Mapping[str, Json]) -> dict[str, Scalar]:
    """Return the coordinates of a reading: the norm, and the classes where some were asked for."""
    return {"norm": str(settings["norm"]), **class_coordinates(settings)}


def distance_ceiling(norm: Norm, coordinates: int) -> float:
    """Return what no change inside the box exceeds, all coordinates counted in ranges.

    It stands for the breaking change of rows that nothing broke.
    """
    return {Norm.LINF: 1.0, Norm.L2: float(np.sqrt(coordinates))}.get(norm, float(coordinates))


def median_interval(values: Floats, confidence: float, most: float) -> ConfidenceInterval:
    """Return the lower median of ``values`` in 0..``most``, between two order statistics.

    Where the sample is too small for these, the whole range is what is known.
    """
    found = quantile(values, 0.5, confidence)
    if found is not None:
        return found
    middle = float(np.sort(values)[(len(values) + 1) // 2 - 1])
    return ConfidenceInterval(middle, 0.0, most, confidence, "range of the budgets", len(values))


def _robust(
    evidence: Evidence, seen: RowOutcomes, index: int, confidence: float, shared: Mapping[str, Json]
) -> Measurement:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    eps, kept = seen.budgets[index], seen.right[index]
    groups = cast("Mapping[str, Sequence[str]]", evidence.get("groups", {}))
    # What one budget cost: all its attacks together, and each one
    log = cast("Sequence[Mapping[str, Json]]", settings["log"])
    here = [bill for bill in log if bill["eps"] == eps]
    totals: dict[str, Json] = {
        name: sum(cast("int", bill[name]) for bill in here)
        for name in ("queries", "passes", "refused")
    }
    # Each bill names all phantoms of its budget so far, those of attacks before it included.
    phantoms = max((cast("int", bill["phantoms"]) for bill in here), default=0)
    details = {
        **shared,
        **totals,
        "phantoms": phantoms,
        "log": [dict(bill) for bill in here],
        "movable": cast("Sequence[Json]", settings["movable"])[index],
        "eps_absolute": cast("Sequence[Json]", settings["radius"])[index],
        "wrong_without_attack": int(seen.wrong.sum()),
        "broken": int(seen.broken[index].sum()),
        "by_class": robust_accuracy_by_class(seen, kept, confidence),
        "by_group": robust_accuracy_by_group(groups, kept, confidence),
    }
    params = {"eps": eps, **reading_coordinates(settings)}
    return _share(kept, "robust_accuracy", confidence, settings, params, details)


def _share(  # noqa: PLR0913, PLR0917 -- one place where shares become measurements
    kept: Mask,
    metric: str,
    confidence: float,
    settings: Mapping[str, Json],
    params: Mapping[str, Scalar],
    details: Mapping[str, Json],
) -> Measurement:
    return Measurement.of(
        clopper_pearson(int(kept.sum()), len(kept), confidence),
        metric,
        Unit.SHARE,
        bound=BoundKind.AT_MOST if metric == "robust_accuracy" else BoundKind.ESTIMATE,
        params=params,
        repeat=_repeat(settings),
        doubted=not settings["deterministic"],
        details=details,
    )


def _breaking(
    seen: RowOutcomes, confidence: float, settings: Mapping[str, Json], details: Mapping[str, Json]
) -> Measurement:
    norm = Norm(str(settings["norm"]))
    most = distance_ceiling(norm, cast("int", settings["coordinates"]))
    log = cast("Sequence[Mapping[str, Json]]", settings["log"])
    unbroken = float(seen.right[-1].mean())
    capped = np.where(seen.right[-1], most, np.minimum(seen.breaking, most))
    return Measurement.of(
        median_interval(capped, confidence, most),
        "min_breaking_eps",
        Unit.SHARE if norm is Norm.LINF else Unit.NONE,
        bound=BoundKind.AT_MOST,
        params=reading_coordinates(settings),
        repeat=_repeat(settings),
        doubted=not settings["deterministic"],
        details={
            **details,
            "largest_eps": seen.budgets[-1],
            "unbroken_share": unbroken,
            "cheapest": find_cheapest_attack(log),
            "needed": find_necessary_attacks(log),
        },
    )


def _moved(evidence: Evidence) -> list[Json]:
    """Return the columns of a table that broken rows changed most often, the first ones first."""
    names = cast("Sequence[str]", evidence.get("features", ()))
    if not names or "moved_share" not in evidence:
        return []
    share = cast("NDArray[np.float64]", evidence["moved_share"]).reshape(-1)
    mean = cast("NDArray[np.float64]", evidence["mean_change"]).reshape(-1)
    if len(share) != len(names):
        return []
    order = np.argsort(-share, kind="stable")[:MOST_NAMED]
    return [
        {"feature": names[place], "share": float(share[place]), "mean_change": float(mean[place])}
        for place in order
        if share[place] > 0
    ]


def _repeat(settings: Mapping[str, Json]) -> Repeatability:
    return Repeatability.EXACT if settings["deterministic"] else Repeatability.INTERVAL


def _nothing_moves(settings: Mapping[str, Json]) -> Gap:
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"An attacker may move none of the {settings['coordinates']} input coordinates at "
        f"eps {cast('Sequence[float]', settings['eps'])[-1]:g}.",
        cure="Declare numeric features that an attacker can change, or a larger eps.",
    )


def list_moving_budgets(
    settings: Mapping[str, Json], budgets: Sequence[float]
) -> tuple[float, ...]:
    """Return the budgets within which an input can move; all, where evidence lists none."""
    still = cast("Sequence[float]", settings.get(STILL, ()))
    return tuple(eps for eps in budgets if eps not in still)


def still_budget_gap(eps: float, params: Mapping[str, Scalar]) -> Gap:
    """Return the gap of a budget within which no input can move: nothing was withstood."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"Within eps {eps:g} no input can move: the smallest declared step is larger.",
        cure="Declare the step that inputs can really take (input.quantum, or the kind of each "
        "column under input.features), or let the policy ask for a larger eps.",
        metric="robust_accuracy",
        params=params,
    )


def _waiting_budget_gap(eps: float, params: Mapping[str, Scalar]) -> Gap:
    return Gap(
        reason=GapReason.OVER_BUDGET,
        detail=f"No rule asks about eps {eps:g}, and there was no time for all rows.",
        cure="Allow more time (`--max-minutes`), use a larger budget, or let a rule ask about it.",
        metric="robust_accuracy",
        params=params,
    )


def best_half_width(rows: int, confidence: float) -> float:
    """Return half the width of the narrowest interval that a share of ``rows`` rows can have."""
    if not rows:
        return 1.0
    interval = clopper_pearson(rows, rows, confidence)
    return (interval.high - interval.low) / 2
