"""The evidence of an attack: enough to count successes again without any model."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from auditor.attacks.arenas import Bout
from auditor.attacks.sweeping import Arena, Sweep
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence, Item
from auditor.domain.tasks import Classification

MOST_CRAFTED_BYTES = 4 * 2**20
"""How much of crafted inputs is kept: all of a small model's, a prefix of a large one's."""


def describe(
    bout: Bout, found: Sweep, *, most_examples: int, twin_distance: Mapping[str, float] | None
) -> Evidence:
    """Return what was seen of the attacked rows.

    Crafted inputs are those that the target decided wrongly, each at the smallest budget that
    broke its row; ``crafted_rows`` places them in the sample. Up to ``most_examples`` broken rows
    are kept clean and crafted: ask for none where the owner's rows must not leave.
    """
    arena = bout.arena
    broken = np.flatnonzero(np.isfinite(found.breaking) & (found.breaking > 0))
    kept = broken[: max(1, MOST_CRAFTED_BYTES // max(1, arena.rows[0].nbytes))]
    told = _settings(arena, found)
    if twin_distance is not None:
        told["twin_distance"] = {name: float(item) for name, item in twin_distance.items()}
    return {
        "settings": told,
        "ids": [bout.dataset.ids[row] for row in bout.sample],
        "labels": arena.labels,
        "clean_probabilities": arena.probabilities,
        "adversarial_probabilities": found.probabilities,
        "distance": found.distance,
        "crafted": found.crafted[kept],
        "crafted_rows": kept,
        **_examples(bout, found, most_examples),
    }


def _examples(bout: Bout, found: Sweep, most: int) -> dict[str, Item]:
    """Return broken rows, clean and crafted, the easiest to break first."""
    order = np.argsort(found.breaking, kind="stable")
    chosen = [int(row) for row in order if 0 < found.breaking[row] < np.inf][:most]
    if not chosen:
        return {}
    arena, dataset = bout.arena, bout.dataset
    place = {eps: index for index, eps in enumerate(found.budgets)}
    last = [found.probabilities[place[float(found.breaking[row])], row] for row in chosen]
    said, classes = arena.task.decide(np.array(last)), arena.task.classes
    return {
        "example_clean": arena.rows[chosen],
        "example_adversarial": found.crafted[chosen],
        "example_places": np.array(chosen, dtype=np.int64),
        "example_rows": [dataset.ids[bout.sample[row]] for row in chosen],
        "example_clean_class": [classes[arena.labels[row]] for row in chosen],
        "example_adversarial_class": [classes[index] for index in said],
        "example_eps": [float(found.breaking[row]) for row in chosen],
        "features": list(dataset.features),
        "range": arena.threat(found.budgets[-1]).width,
    }


def _settings(arena: Arena, found: Sweep) -> dict[str, Json]:
    """Return what figures need beside arrays: the budgets, the decision rule, and what it cost."""
    return {
        "eps": list(found.budgets),
        "norm": arena.threat(found.budgets[-1]).norm.value,
        "radius": [_radius(arena, eps) for eps in found.budgets],
        "task": _rule(arena.task),
        "coordinates": int(np.prod(arena.rows.shape[1:])),
        "movable": list(found.movable),
        "phantoms": list(found.phantoms),
        "queries": list(found.queries),
        "passes": list(found.passes),
        "refused": found.refused,
        "deterministic": arena.model.deterministic,
    }


def read_rule(rule: Mapping[str, Json]) -> Classification:
    """Return the decision rule that ``describe`` wrote down."""
    positive = str(rule["positive"])
    return Classification(
        classes=tuple(cast("Sequence[str]", rule["classes"])),
        positive=positive,
        favourable=positive,
        threshold=cast("float", rule["threshold"]),
    )


def _rule(task: Classification) -> dict[str, Json]:
    return {
        "classes": list(task.classes),
        "positive": task.positive,
        "threshold": float(task.threshold),
    }


def _radius(arena: Arena, eps: float) -> list[float]:
    radius = arena.threat(eps).radius
    moved = radius[radius > 0]
    return [float(moved.min()), float(moved.max())] if moved.size else [0.0, 0.0]
