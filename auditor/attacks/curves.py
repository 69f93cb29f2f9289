"""From an attack's evidence to readings: the robustness curve, and the budget that breaks half."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.threats import SLACK
from auditor.attacks.trials import read_rule
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Repeat, Unit
from auditor.domain.tasks import Classification, Floats
from auditor.stats.proportions import clopper_pearson
from auditor.stats.quantiles import quantile

WHOLE_RANGE = 1.0
"""No change inside the box exceeds the whole range, so a row's breaking budget counts as this
where no budget broke it."""
MOST_NAMED = 8

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What evidence says of each row: ``broken`` is ``[budgets, n]``, ``wrong`` without attack."""

    budgets: tuple[float, ...]
    wrong: Mask
    broken: Mask

    @property
    def right(self) -> Mask:
        """Whether a row stays right, at each budget."""
        kept: Mask = ~self.wrong & ~self.broken
        return kept

    @property
    def breaking(self) -> Floats:
        """The smallest budget that breaks each row: 0 where wrong, the whole range where none."""
        found = np.full(len(self.wrong), WHOLE_RANGE)
        for budget, broken in zip(reversed(self.budgets), self.broken[::-1], strict=True):
            found[broken] = budget
        found[self.wrong] = 0.0
        return found


def readings(
    evidence: Evidence, confidence: float, effort: Mapping[str, Json]
) -> tuple[Reading, ...]:
    """Return clean accuracy, robust accuracy at each budget, and the median breaking budget.

    Successes are counted anew from the target's probabilities and the size of each change.
    ``effort`` says how hard the attack tried, and joins the details.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if not any(cast("Sequence[int]", settings["movable"])):
        return (_nothing_moves(settings),)
    seen = recount(evidence)
    norm = str(settings["norm"])
    shared = {**effort, **_shared(settings), "rows": len(seen.wrong)}
    found = [
        _share(~seen.wrong, "clean_accuracy", confidence, settings, {"norm": norm}, {}),
        *(_robust(seen, index, confidence, settings, shared) for index in range(len(seen.budgets))),
        _breaking(seen, confidence, settings, {**shared, **_named(evidence, seen)}),
    ]
    return tuple(found)


def recount(evidence: Evidence) -> Outcomes:
    """Count again which rows the target got wrong, clean and at each budget.

    A candidate that moved further than its budget allows does not count, whatever it achieved.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    task = read_rule(cast("Mapping[str, Json]", settings["task"]))
    budgets = tuple(float(eps) for eps in cast("Sequence[float]", settings["eps"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    distance = _distance(evidence)
    wrong = _decide(task, evidence["clean_probabilities"]) != labels
    scored = cast("Floats", evidence["adversarial_probabilities"])
    broken = np.array(
        [
            (_decide(task, scores) != labels) & (distance <= eps + SLACK) & ~wrong
            for eps, scores in zip(budgets, scored, strict=True)
        ]
    )
    return Outcomes(budgets, wrong, np.logical_or.accumulate(broken, axis=0))


def median_interval(values: Floats, confidence: float) -> Interval:
    """Return the lower median of ``values`` in 0..1, between two order statistics.

    Where the sample is too small for these, 0..1 is what is known.
    """
    found = quantile(values, 0.5, confidence)
    if found is not None:
        return found
    middle = float(np.sort(values)[(len(values) + 1) // 2 - 1])
    return Interval(middle, 0.0, WHOLE_RANGE, confidence, "range of the budgets", len(values))


def _decide(task: Classification, scores: object) -> NDArray[np.int64]:
    return task.decide(cast("Floats", scores))


def _distance(evidence: Evidence) -> Floats:
    """Return the change of each row's candidate, measured anew where both inputs are at hand."""
    distance = cast("Floats", evidence["distance"]).copy()
    if "example_clean" in evidence:
        places = cast("NDArray[np.int64]", evidence["example_places"])
        clean = cast("Floats", evidence["example_clean"]).astype(np.float64)
        crafted = cast("Floats", evidence["example_adversarial"]).astype(np.float64)
        width = cast("Floats", evidence["range"])
        change = np.nan_to_num(np.abs(crafted - clean)) / np.where(width > 0, width, 1.0)
        measured = change.reshape(len(places), -1).max(axis=1, initial=0.0)
        distance[places] = np.maximum(distance[places], measured)
    return distance


def _robust(
    seen: Outcomes,
    index: int,
    confidence: float,
    settings: Mapping[str, Json],
    shared: Mapping[str, Json],
) -> Measurement:
    at = {
        name: cast("Sequence[Json]", settings[name])[index]
        for name in ("movable", "phantoms", "queries", "passes")
    }
    details = {
        **shared,
        **at,
        "eps_absolute": cast("Sequence[Json]", settings["radius"])[index],
        "wrong_without_attack": int(seen.wrong.sum()),
        "broken": int(seen.broken[index].sum()),
    }
    params: dict[str, float | str] = {"eps": seen.budgets[index], "norm": str(settings["norm"])}
    return _share(seen.right[index], "robust_accuracy", confidence, settings, params, details)


def _share(  # noqa: PLR0913, PLR0917 -- one place where shares become measurements
    kept: Mask,
    metric: str,
    confidence: float,
    settings: Mapping[str, Json],
    params: Mapping[str, float | str],
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
    unbroken = float(seen.right[-1].mean())
    return Measurement.of(
        median_interval(seen.breaking, confidence),
        "min_breaking_eps",
        Unit.SHARE,
        bound=Bound.AT_MOST,
        params={"norm": str(settings["norm"])},
        repeat=_repeat(settings),
        doubted=not settings["deterministic"],
        details={**details, "largest_eps": seen.budgets[-1], "unbroken_share": unbroken},
    )


def _named(evidence: Evidence, seen: Outcomes) -> dict[str, Json]:
    """Name the rows that break at the smallest budgets."""
    ids = cast("Sequence[str]", evidence["ids"])
    breaking = seen.breaking
    order = [int(row) for row in np.argsort(breaking, kind="stable")]
    worst = [row for row in order if seen.broken[-1, row]][:MOST_NAMED]
    shown = cast("Sequence[str]", evidence.get("example_rows", ()))
    return {"worst_rows": [ids[row] for row in worst], "examples": list(shown)}


def _shared(settings: Mapping[str, Json]) -> dict[str, Json]:
    names = ("coordinates", "refused", "deterministic", "twin_distance")
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
