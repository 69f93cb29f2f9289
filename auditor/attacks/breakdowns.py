"""Who is broken, and by what: per class, per group, and per attack."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.goals import Harm
from auditor.attacks.tallies import Mask, Outcomes
from auditor.domain.canonical import Json
from auditor.stats.proportions import clopper_pearson

MOST_PARTS = 50
"""Classes or groups that are listed, the least robust first."""


def by_class(seen: Outcomes, kept: Mask, confidence: float) -> list[Json]:
    """Return robust accuracy of the rows of each class, each with its own exact interval."""
    if not isinstance(seen.goal, Harm):
        return []
    names = [seen.goal.task.classes[label] for label in seen.labels]
    return _parts(names, kept, confidence)


def by_group(groups: Mapping[str, Sequence[str]], kept: Mask, confidence: float) -> dict[str, Json]:
    """Return robust accuracy of the rows of each group of people, column by column."""
    return {column: _parts(values, kept, confidence) for column, values in groups.items()}


def cheapest(log: Sequence[Mapping[str, Json]]) -> dict[str, Json] | None:
    """Return the attack that paid least for a broken row; ``None`` where nothing broke.

    A query of the target and a gradient of the twin count alike.
    """
    paid = [
        (_cost(bill) / cast("int", bill["broken"]), index)
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


def needed(log: Sequence[Mapping[str, Json]]) -> list[Json]:
    """Return the attacks that broke a row which those before them had not, in their order."""
    useful = [str(bill["attack"]) for bill in log if bill["broken"]]
    return list(dict.fromkeys(useful))


def _cost(bill: Mapping[str, Json]) -> int:
    return cast("int", bill["queries"]) + cast("int", bill["passes"])


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
