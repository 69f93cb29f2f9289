"""Inputs within a ball: norms, patches, walks on decisions, and attacks of other libraries."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.attacked_rows import by_attack, by_norm
from auditor.attacks.counterexamples.attacks import Attack, Measure, nearest, smallest
from auditor.attacks.counterexamples.claims import (
    Changes,
    Claim,
    Claims,
    Held,
    Sized,
    of_evidence,
)
from auditor.attacks.counterexamples.given import Given, Kind
from auditor.attacks.curves import ceiling
from auditor.attacks.norms import Norm
from auditor.attacks.offline import gap_of
from auditor.attacks.patches import OneSquare, sides
from auditor.attacks.tallies import Outcomes, recount
from auditor.domain.canonical import Json
from auditor.domain.challenges import Result
from auditor.domain.evidence import Evidence, Item
from auditor.domain.tasks import Array, Floats

NOTHING_MOVES = "the record found nothing in a row that an attacker may change"


def measured(given: Given, at: int, norm: Norm, budgets: Sequence[float]) -> Sized:
    """Return the distance of an example and the smallest budget that it keeps, or why none.

    The frame's own threat decides, as it does for every candidate of an attack.
    """
    clean, inputs = given.pair(at)
    distance = float(given.ground.threat(norm, budgets[-1]).distance(clean, inputs)[0])
    least = smallest(budgets, distance)
    fitting = [] if least is None else [eps for eps in budgets if eps >= least]
    for eps in fitting:
        if given.ground.threat(norm, eps).permits(clean, inputs)[0]:
            return Result.HOLDS, (distance, eps)
    return Result.OUTSIDE_SPACE if fitting else Result.OUTSIDE_BUDGET, (distance,)


def _in_a_square(given: Given, at: int, budgets: Sequence[float]) -> Sized:
    """Return the pixels of the smallest square that holds all changes, and the least patch of them.

    Budgets are pixels of squares, as the check counts them.
    """
    clean, inputs = given.pair(at)
    pixels = float(sides(clean, inputs)[0] ** 2)
    least = smallest(budgets, pixels)
    if least is None:
        return Result.OUTSIDE_BUDGET, (pixels,)
    square = OneSquare(round(least**0.5))
    if given.ground.threat(Norm.L0, least, square).permits(clean, inputs)[0]:
        return Result.HOLDS, (pixels, least)
    return Result.OUTSIDE_SPACE, (pixels,)


def ball(evidence: Evidence) -> Claim:
    """Return what an attack in a norm claims, whatever it knew of the model."""
    norm = Norm(str(cast("Mapping[str, Json]", evidence["settings"])["norm"]))
    seen = recount(evidence)
    return _attack(evidence, seen, lambda given, at: measured(given, at, norm, seen.budgets))


def _attack(evidence: Evidence, seen: Outcomes, measure: Measure) -> Claim:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    most = ceiling(Norm(str(settings["norm"])), cast("int", settings["coordinates"]))
    sizes = np.where(seen.right[-1], most, np.minimum(seen.breaking, most))
    ids = cast("Sequence[str]", evidence["ids"])
    rewrite = partial(_with_broken, evidence)
    return Attack(ids, seen, measure, rewrite, (nearest(sizes),))


def _with_broken(evidence: Evidence, held: Held, given: Given) -> Changes:
    said = cast("Floats", evidence["adversarial_probabilities"]).copy()
    distance = cast("Floats", evidence["distance"]).copy()
    shown: dict[int, Array] = {}
    for place, (trial, *_) in held.items():
        said[place], distance[place] = given.said[trial.example], trial.distance
        shown[place] = given.inputs[trial.example]
    return {
        "adversarial_probabilities": said, "distance": distance, **shown_anew(evidence, shown),
    }  # fmt: skip


def shown_anew(evidence: Evidence, broken: Mapping[int, Array]) -> dict[str, Item]:
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
    return _unless_still(evidence) or {"": ball(evidence)}


def _apart(evidence: Evidence) -> Claims | str:
    """Return the claims of an attack that was judged on rows other than it was prepared on."""
    gap = gap_of(cast("dict[str, Json]", evidence["settings"]))
    return _balls(evidence) if gap is None else unsaid(gap.detail)


def _patches(evidence: Evidence) -> Claims | str:
    if "shorter_side" not in evidence:
        return unsaid("nothing was covered")
    seen = recount(evidence)
    claim = _attack(evidence, seen, lambda given, at: _in_a_square(given, at, seen.budgets))
    return _unless_still(evidence) or {"": claim}


def _walks(evidence: Evidence) -> Claims | str:
    """Return one claim a norm: the evidence of the second begins with its name."""
    norms = by_norm(evidence).items()
    found = {prefix: ball(own) for prefix, own in norms if not _unless_still(own)}
    return found or _unless_still(evidence)


def _art(evidence: Evidence) -> Claims | str:
    still = _unless_still(evidence)
    found = {f"{name}.": ball(own) for name, own in by_attack(evidence).items()}
    return still or found or unsaid("no attack of the toolbox was run")


def _unless_still(evidence: Evidence) -> str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    return "" if any(cast("Sequence[int]", settings["movable"])) else unsaid(NOTHING_MOVES)


def unsaid(why: str) -> str:
    """Return why there is nothing to challenge, where a check had nothing to say."""
    return f"the record claims nothing by it: {why.rstrip('.')}"


BALL = of_evidence(Kind.INPUTS, _balls)
"""Inputs within the budgets of a norm."""
TRANSFERRED = of_evidence(Kind.INPUTS, _apart)
"""The same, of an attack that was prepared on other rows: by whatever knowledge they were made."""
PATCH = of_evidence(Kind.INPUTS, _patches)
"""Pictures of which one square was changed."""
WALKS = of_evidence(Kind.INPUTS, _walks)
"""Inputs in the norms of walks, where also a smaller distance counts."""
TOOLBOX = of_evidence(Kind.INPUTS, _art)
"""Inputs within the budgets, against what each attack of the toolbox left standing."""
