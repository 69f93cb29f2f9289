"""From a search's evidence to readings: accuracy under the worst view, and under random ones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.trials import Labels, average, share
from auditor.attacks.corruptions.views import NONE
from auditor.attacks.spatial import BUDGETS, Transformation
from auditor.attacks.trials import read_task
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]


def readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return clean accuracy, then robust and mean accuracy of each budget.

    Successes are counted anew, from the target's probabilities for views within reach.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "row" in settings:
        return (no_pictures(settings["row"]),)
    labels = cast("Labels", evidence["labels"])
    right = read_task(settings).decide(cast("Floats", evidence["clean_probabilities"])) == labels
    found: list[Reading] = [share(right, "clean_accuracy", confidence, settings)]
    wrong = int((~right).sum())
    drawn = cast("NDArray[np.int32]", evidence["drawn_decided"]) == labels
    for index, name in enumerate(cast("Sequence[str]", settings["budgets"])):
        broken, families = _broken(evidence, settings, index, name)
        right = right & ~broken
        details: dict[str, Json] = {
            **_spent(settings, index, name),
            "wrong_without_attack": wrong,
            "broken": int((~right).sum()) - wrong,
            "broken_by": dict(families),
        }
        found.append(_robust(right, confidence, settings, name, details))
        found.append(_mean(drawn[index], confidence, settings, name))
    return tuple(found)


def first_broken(evidence: Evidence) -> NDArray[np.int64]:
    """Return the place of the first budget that breaks each row ``[n]``.

    -1 where the row is wrong without any change, and the number of budgets where nothing breaks it.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    names = cast("Sequence[str]", settings["budgets"])
    labels = cast("Labels", evidence["labels"])
    found = np.full(len(labels), len(names), dtype=np.int64)
    for index in reversed(range(len(names))):
        found[_broken(evidence, settings, index, names[index])[0]] = index
    clean = read_task(settings).decide(cast("Floats", evidence["clean_probabilities"]))
    return np.where(clean == labels, found, -1)


def _spent(settings: Mapping[str, Json], index: int, name: str) -> dict[str, Json]:
    """Return what one budget allowed, and what was tried within it."""
    views = cast("Sequence[Sequence[Json]]", settings["views"])[index]
    return {
        "queries": cast("Sequence[int]", settings["queries"])[index],
        "views": len(views),
        "reach": dict(asdict(BUDGETS[name])),
        "shift_pixels": list(BUDGETS[name].pixels(_size(settings))),
        "flips": settings["flips"],
        "fill": settings["fill"],
    }


def _robust(
    right: Mask,
    confidence: float,
    settings: Mapping[str, Json],
    name: str,
    details: Mapping[str, Json],
) -> Measurement:
    return share(
        right,
        "robust_accuracy",
        confidence,
        settings,
        bound=Bound.AT_MOST,
        params={"budget": name},
        details=details,
    )


def _mean(drawn: Mask, confidence: float, settings: Mapping[str, Json], name: str) -> Reading:
    params, details = {"budget": name}, {"draws": len(drawn)}
    made = average(drawn, "mean_accuracy", confidence, settings, params=params, details=details)
    if made is not None:
        return made
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail="One row gives no interval of a mean.",
        cure="Evaluate on more rows.",
        metric="mean_accuracy",
        params=params,
    )


def _broken(
    evidence: Evidence, settings: Mapping[str, Json], index: int, name: str
) -> tuple[Mask, Counter[str]]:
    """Return which rows a view within reach breaks, and how often each family of views did."""
    listed = cast("Sequence[Sequence[Mapping[str, Any]]]", settings["views"])[index]
    views = [Transformation(**view) for view in listed]
    size, flips = _size(settings), bool(settings["flips"])
    allowed = np.array([BUDGETS[name].holds(view, size, flips=flips) for view in views])
    chosen = cast("NDArray[np.int32]", evidence["chosen"])[index]
    said = cast("Floats", evidence["adversarial_probabilities"])[index]
    wrong = read_task(settings).decide(said) != cast("Labels", evidence["labels"])
    broken = wrong & (chosen != NONE) & allowed[chosen]
    return broken, Counter(views[place].family for place in chosen[broken])


def _size(settings: Mapping[str, Json]) -> tuple[int, int]:
    height, width = cast("Sequence[int]", settings["size"])
    return height, width


def no_pictures(row: Json) -> Gap:
    """Return the Gap of rows of a shape that nobody can turn or move."""
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"Rows of shape {row} are no pictures that could be turned or moved.",
        cure="Give pictures as height by width, with or without channels.",
    )
