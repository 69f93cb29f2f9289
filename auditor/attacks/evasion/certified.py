"""From the evidence of proofs to readings: how many rows nothing within a budget can break."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.certificates import MARGIN
from auditor.attacks.curves import median_interval
from auditor.attacks.smoothing import Votes, certified_radii
from auditor.attacks.trials import read_goal
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.readings import (
    Bound,
    Gap,
    Measurement,
    Reading,
    Reason,
    Repeat,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.stats.proportions import clopper_pearson

WHOLE_RANGE = 1.0
"""No change inside the box exceeds it; it stands for rows at which no wrong point is known."""
LINF: Mapping[str, Scalar] = {"norm": "linf"}

Mask = NDArray[np.bool_]
Settings = Mapping[str, Json]


def readings(evidence: Evidence, confidence: float, alpha: float) -> tuple[Reading, ...]:
    """Return clean accuracy, then certified accuracy by graph at each eps, then by smoothing.

    ``alpha`` is the probability with which the radius of one smoothed row may be too large.
    """
    settings = cast("Settings", evidence["settings"])
    right = right_rows(evidence)
    counted = clopper_pearson(int(right.sum()), len(right), confidence)
    clean = _steady(Measurement.of(counted, "clean_accuracy", Unit.SHARE), settings)
    by_graph: Sequence[Reading]
    if settings["gap"] is not None:
        by_graph = [_gap(cast("Mapping[str, str]", settings["gap"]))]
    elif settings["kind"] == "trees":
        by_graph = _trees(evidence, right, confidence)
    else:
        by_graph = _network(evidence, confidence)
    return (clean, *by_graph, *_smoothed(evidence, confidence, alpha))


def right_rows(evidence: Evidence) -> Mask:
    """Return which rows the target decides rightly before any change."""
    settings = cast("Settings", evidence["settings"])
    goal = read_goal(cast("Settings", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    return ~goal.reached(cast("Floats", evidence["clean_probabilities"]), labels)


def proved_radius(evidence: Evidence) -> Floats:
    """Return for each row the largest change, in ranges, that the graph itself proves harmless.

    0 where nothing is proved: of a row that is wrong from the start, of a graph without proofs.
    """
    settings = cast("Settings", evidence["settings"])
    right = right_rows(evidence)
    if settings["gap"] is not None:
        return np.zeros(len(right))
    if settings["kind"] == "trees":
        lower: Floats = np.where(right, cast("Floats", evidence["proved"]), 0.0)
        return lower
    proved = _proved(evidence, str(settings["method"]))
    budgets = np.array(cast("Sequence[float]", settings["eps"]), dtype=np.float64)
    largest: Floats = np.max(np.where(proved, budgets[:, None], 0.0), axis=0)
    return largest


def _network(evidence: Evidence, confidence: float) -> list[Reading]:
    """Count the rows whose lead is proved: what is proved of a box is proved of every smaller."""
    settings = cast("Settings", evidence["settings"])
    method = str(settings["method"])
    proved, by_interval = (_proved(evidence, name) for name in (method, "interval"))
    found: list[Reading] = []
    for place, eps in enumerate(cast("Sequence[float]", settings["eps"])):
        more = {"by_interval": int(by_interval[place].sum()), **_at(settings, place)}
        params: dict[str, Scalar] = {**LINF, "eps": eps, "method": method}
        found.append(_share(proved[place], confidence, settings, params, more))
    return found


def _proved(evidence: Evidence, method: str) -> Mask:
    leads = cast("Floats", evidence[f"lead_{method}"])
    kept: Mask = np.logical_or.accumulate((leads > 0)[::-1], axis=0)[::-1] & right_rows(evidence)
    return kept


def _trees(evidence: Evidence, right: Mask, confidence: float) -> list[Reading]:
    settings = cast("Settings", evidence["settings"])
    method = str(settings["method"])
    lower = np.where(right, cast("Floats", evidence["proved"]), 0.0)
    upper = np.where(right, confirmed(evidence), 0.0)
    # A point nearer than the proof allows would show the proof to be wrong.
    doubted = bool((upper < lower - MARGIN).any())
    near = np.minimum(upper, WHOLE_RANGE)
    settled: dict[str, Json] = {"settled": int((lower >= near - MARGIN).sum())}
    found: list[Reading] = []
    for place, eps in enumerate(cast("Sequence[float]", settings["eps"])):
        params: dict[str, Scalar] = {**LINF, "eps": eps, "method": method}
        more = {**settled, **_at(settings, place)}
        share = _share(right & (lower > eps + MARGIN), confidence, settings, params, more)
        found.append(_steady(share, settings, doubted=doubted))
    least = median_interval(np.minimum(lower, near), confidence, WHOLE_RANGE)
    most = median_interval(near, confidence, WHOLE_RANGE)
    median = Measurement.of(
        Interval(least.value, least.low, most.high, confidence, least.method, least.n),
        "min_breaking_eps",
        Unit.SHARE,
        bound=Bound.AT_LEAST,
        params={**LINF, "method": method},
        details={**settled, "confirmed_median": most.value, "rows": least.n},
    )
    return [*found, _steady(median, settings, doubted=doubted)]


def confirmed(evidence: Evidence) -> Floats:
    """Return the distance of each row's nearest candidate that the target decides wrongly.

    Infinite where the target decides none wrongly.
    """
    settings = cast("Settings", evidence["settings"])
    goal = read_goal(cast("Settings", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    distance = cast("Floats", evidence["distance"])
    said = cast("Floats", evidence["candidate_probabilities"])
    found = np.full(len(labels), np.inf)
    for place in range(distance.shape[1]):
        wrong = goal.reached(said[:, place], labels)
        found = np.where(wrong, np.minimum(found, distance[:, place]), found)
    return found


def _smoothed(evidence: Evidence, confidence: float, alpha: float) -> list[Reading]:
    """Count rows by radius, and take the certificates' own error from the lower limit.

    A row counts wrongly with probability at most ``alpha``, so that the expected share of rows
    that count exceeds the true one by at most that: ``alpha`` is taken from the limit of the
    former, whatever the confidence.
    """
    settings = cast("Settings", evidence["settings"])
    sigma = cast("float", settings["sigma"])
    votes = Votes(
        cast("NDArray[np.int64]", evidence["votes_chosen"]),
        cast("NDArray[np.int64]", evidence["votes_counted"]),
    )
    guessed = votes.guesses == cast("NDArray[np.int64]", evidence["labels"])
    radii = certified_radii(votes, alpha, sigma)
    details: dict[str, Json] = {
        "of": "the majority decision under noise, not the model's own",
        "samples": settings["samples"],
        "alpha": alpha,
        "abstained": int((guessed & (radii <= 0)).sum()),
        "largest_radius": float(radii.max(initial=0.0)),
    }
    found: list[Reading] = []
    for radius in cast("Sequence[float]", settings["radii"]):
        params: dict[str, Scalar] = {
            "norm": "l2",
            "method": "smoothing",
            "sigma": sigma,
            "radius": radius,
        }
        share = _share(guessed & (radii > radius), confidence, settings, params, details)
        low = max(0.0, cast("float", share.low) - alpha)
        method = "clopper-pearson, less the error of one certificate"
        found.append(replace(share, low=low, method=method))
    return found


def _share(
    kept: Mask,
    confidence: float,
    settings: Settings,
    params: Mapping[str, Scalar],
    details: Mapping[str, Json],
) -> Measurement:
    found = Measurement.of(
        clopper_pearson(int(kept.sum()), len(kept), confidence),
        "certified_accuracy",
        Unit.SHARE,
        bound=Bound.AT_LEAST,
        params=params,
        details={"rows": len(kept), "certified": int(kept.sum()), **details},
    )
    return _steady(found, settings)


def _at(settings: Settings, place: int) -> dict[str, Json]:
    return {"movable": cast("Sequence[int]", settings["movable"])[place]}


def _steady(found: Measurement, settings: Settings, *, doubted: bool = False) -> Measurement:
    """Doubt what was measured of a model that changes its mind, or against a proof."""
    steady = bool(settings["deterministic"])
    repeat = Repeat.EXACT if steady else Repeat.INTERVAL
    return replace(found, repeat=repeat, doubted=doubted or not steady)


def _gap(told: Mapping[str, str]) -> Gap:
    return Gap(
        reason=Reason(told["reason"]),
        detail=told["detail"],
        cure=told["cure"],
        metric="certified_accuracy",
        params=LINF,
    )
