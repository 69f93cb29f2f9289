"""From an attack's evidence to readings: the robustness curve, and the change that breaks half."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.breakdowns import by_class, by_group, cheapest, needed
from auditor.attacks.norms import Norm
from auditor.attacks.outlays import asked, counted, expected_costs
from auditor.attacks.tallies import Mask, Outcomes, recount
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Repeat, Scalar, Unit
from auditor.domain.tasks import Floats
from auditor.stats.proportions import clopper_pearson
from auditor.stats.quantiles import quantile

MOST_NAMED = 8


def readings(
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
    seen = recount(evidence)
    place = place_of(settings)
    shared = {**effort, **_shared(settings), "rows": len(seen.wrong), **counted(seen, evidence)}
    clean = _share(~seen.wrong, "clean_accuracy", confidence, settings, place, {})
    curve = [
        _robust(evidence, seen, index, confidence, shared) for index in range(len(seen.budgets))
    ]
    costs = expected_costs(evidence, seen, confidence, place)
    named = {**shared, **_named(evidence, seen)}
    return (clean, *curve, *costs, _breaking(seen, confidence, settings, named))


def place_of(settings: Mapping[str, Json]) -> dict[str, Scalar]:
    """Return the coordinates of a reading: the norm, and the classes where some were asked for."""
    return {"norm": str(settings["norm"]), **asked(settings)}


def ceiling(norm: Norm, coordinates: int) -> float:
    """Return what no change inside the box exceeds, all coordinates counted in ranges.

    It stands for the breaking change of rows that nothing broke.
    """
    return {Norm.LINF: 1.0, Norm.L2: float(np.sqrt(coordinates))}.get(norm, float(coordinates))


def median_interval(values: Floats, confidence: float, most: float) -> Interval:
    """Return the lower median of ``values`` in 0..``most``, between two order statistics.

    Where the sample is too small for these, the whole range is what is known.
    """
    found = quantile(values, 0.5, confidence)
    if found is not None:
        return found
    middle = float(np.sort(values)[(len(values) + 1) // 2 - 1])
    return Interval(middle, 0.0, most, confidence, "range of the budgets", len(values))


def _robust(
    evidence: Evidence, seen: Outcomes, index: int, confidence: float, shared: Mapping[str, Json]
) -> Measurement:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    eps, kept = seen.budgets[index], seen.right[index]
    groups = cast("Mapping[str, Sequence[str]]", evidence.get("groups", {}))
    details = {
        **shared,
        **_spent(settings, eps),
        "movable": cast("Sequence[Json]", settings["movable"])[index],
        "eps_absolute": cast("Sequence[Json]", settings["radius"])[index],
        "wrong_without_attack": int(seen.wrong.sum()),
        "broken": int(seen.broken[index].sum()),
        "by_class": by_class(seen, kept, confidence),
        "by_group": by_group(groups, kept, confidence),
    }
    params = {"eps": eps, **place_of(settings)}
    return _share(kept, "robust_accuracy", confidence, settings, params, details)


def _spent(settings: Mapping[str, Json], eps: float) -> dict[str, Json]:
    """Return what one budget cost: all its attacks together, and each one."""
    log = cast("Sequence[Mapping[str, Json]]", settings["log"])
    here = [bill for bill in log if bill["eps"] == eps]
    totals: dict[str, Json] = {
        name: sum(cast("int", bill[name]) for bill in here)
        for name in ("queries", "passes", "refused")
    }
    # Each bill names all phantoms of its budget so far, those of attacks before it included.
    phantoms = max((cast("int", bill["phantoms"]) for bill in here), default=0)
    return {**totals, "phantoms": phantoms, "log": [dict(bill) for bill in here]}


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
        bound=Bound.AT_MOST if metric == "robust_accuracy" else Bound.ESTIMATE,
        params=params,
        repeat=_repeat(settings),
        doubted=not settings["deterministic"],
        details=details,
    )


def _breaking(
    seen: Outcomes, confidence: float, settings: Mapping[str, Json], details: Mapping[str, Json]
) -> Measurement:
    norm = Norm(str(settings["norm"]))
    most = ceiling(norm, cast("int", settings["coordinates"]))
    log = cast("Sequence[Mapping[str, Json]]", settings["log"])
    unbroken = float(seen.right[-1].mean())
    capped = np.where(seen.right[-1], most, np.minimum(seen.breaking, most))
    return Measurement.of(
        median_interval(capped, confidence, most),
        "min_breaking_eps",
        Unit.SHARE if norm is Norm.LINF else Unit.NONE,
        bound=Bound.AT_MOST,
        params=place_of(settings),
        repeat=_repeat(settings),
        doubted=not settings["deterministic"],
        details={
            **details,
            "largest_eps": seen.budgets[-1],
            "unbroken_share": unbroken,
            "cheapest": cheapest(log),
            "needed": needed(log),
        },
    )


def _named(evidence: Evidence, seen: Outcomes) -> dict[str, Json]:
    """Name the rows that break by the smallest changes."""
    ids = cast("Sequence[str]", evidence["ids"])
    order = [int(row) for row in np.argsort(seen.breaking, kind="stable")]
    worst = [row for row in order if seen.broken[-1, row]][:MOST_NAMED]
    shown = cast("Sequence[str]", evidence.get("example_rows", ()))
    return {
        "worst_rows": [ids[row] for row in worst],
        "examples": list(shown),
        "moved": _moved(evidence),
    }


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


def _shared(settings: Mapping[str, Json]) -> dict[str, Json]:
    names = ("coordinates", "deterministic", "repeats", "twin_distance")
    return {name: settings[name] for name in names if name in settings}


def _repeat(settings: Mapping[str, Json]) -> Repeat:
    return Repeat.EXACT if settings["deterministic"] else Repeat.INTERVAL


def _nothing_moves(settings: Mapping[str, Json]) -> Gap:
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"An attacker may move none of the {settings['coordinates']} input coordinates at "
        f"eps {cast('Sequence[float]', settings['eps'])[-1]:g}.",
        cure="Declare numeric features that an attacker can change, or a larger eps.",
    )


def best_half_width(rows: int, confidence: float) -> float:
    """Return half the width of the narrowest interval that a share of ``rows`` rows can have."""
    if not rows:
        return 1.0
    interval = clopper_pearson(rows, rows, confidence)
    return (interval.high - interval.low) / 2
