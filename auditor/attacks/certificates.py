"""What a certifier is asked about rows, and what the target says to its answers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import Arena
from auditor.attacks.balls import SLACK
from auditor.attacks.threats import Threat
from auditor.domain.certificates import Boxes, Certifier, Nearest
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array, Floats

NOTHING = -1e30
"""The lead of rows of which nothing was asked: finite, and as far from a proof as can be."""
MARGIN = 3 * SLACK
"""By how much a distance must exceed a budget: what the frame forgives an attack, and rounding."""


def boxes_of(threat: Threat, rows: Array, labels: NDArray[np.int64]) -> Boxes:
    """Return all that a threat allows for ``[n, ...]`` rows, and what the frame would forgive.

    Limits are drawn in to the last step inside, because no candidate lies beyond it.
    """
    ball = threat.around(rows)
    exact = rows.astype(np.float64)
    stepped = threat.quantum > 0
    size = np.where(stepped, threat.quantum, 1.0)
    origin = np.where(np.isfinite(threat.low), threat.low, 0.0)
    first = origin + np.ceil((ball.lower - origin) / size - SLACK) * size
    last = origin + np.floor((ball.upper - origin) / size + SLACK) * size
    lower = np.where(stepped, np.minimum(first, exact), ball.lower)
    upper = np.where(stepped, np.maximum(last, exact), ball.upper)
    movable = threat.radius > 0
    slack = np.where(movable, SLACK * np.maximum(threat.scale, threat.quantum), 0.0)
    shape = rows.shape[1:]
    return Boxes(
        clean=rows,
        labels=labels,
        lower=np.where(movable, lower - slack, exact),
        upper=np.where(movable, upper + slack, exact),
        unit=np.broadcast_to(np.where(movable, threat.scale, 0.0), shape),
        quantum=np.broadcast_to(threat.quantum, shape),
        origin=np.broadcast_to(origin, shape),
    )


def margins(
    certifier: Certifier, arena: Arena, budgets: tuple[float, ...], progress: Progress
) -> Mapping[str, Floats]:
    """Return a network's leads ``[budgets, n]`` by method; of rows that are wrong nothing is asked.

    A row that the closest method leaves open at one budget is not asked again at a larger one.
    """
    right = right_rows(arena)
    found = {"interval": np.full((len(budgets), len(arena.rows)), NOTHING)}
    for place, eps in enumerate(budgets):
        progress(place, len(budgets), f"bounds at {eps:g}")
        boxes = boxes_of(arena.threat(eps), arena.rows[right], arena.labels[right])
        if not len(right):
            break
        leads = certifier.margins(boxes)
        for name, lead in leads.items():
            found.setdefault(name, np.full((len(budgets), len(arena.rows)), NOTHING))
            found[name][place, right] = np.maximum(lead, NOTHING)
        best = np.max(np.stack(list(leads.values())), axis=0)
        right = right[best > 0]
    return found


def nearest(
    certifier: Certifier, arena: Arena, steps: int, progress: Progress
) -> tuple[Nearest, Floats]:
    """Return the nearest wrong points of trees, and what the target says to each candidate.

    Rows that are wrong already are 0 away. A candidate that the threat of its distance does not
    permit is not asked about, and its distance becomes infinite. The second array is
    ``[n, candidates, classes]``.
    """
    threat = arena.threat(1.0)
    count, right = len(arena.rows), right_rows(arena)
    parts = []
    for place, row in enumerate(right):
        progress(place, len(right), "nearest wrong points")
        one = slice(row, row + 1)
        boxes = boxes_of(threat, arena.rows[one], arena.labels[one])
        parts.append(certifier.nearest(boxes, steps=steps))
    candidates = parts[0].distance.shape[1] if parts else 0
    lower, distance = np.zeros(count), np.full((count, candidates), np.inf)
    crafted = np.repeat(arena.rows[:, None], candidates, axis=1)
    for row, part in zip(right, parts, strict=True):
        lower[row], distance[row] = part.lower[0], part.distance[0]
        crafted[row] = _typed(part.crafted[0], arena.rows)
    said = np.repeat(arena.probabilities[:, None], candidates, axis=1)
    for place in range(candidates):
        _judge(arena, threat, crafted[:, place], distance[:, place], said[:, place])
    return Nearest(lower, crafted, distance), said


def _judge(arena: Arena, threat: Threat, points: Array, distance: Floats, said: Floats) -> None:
    """Measure the distance of candidates anew, and write down what the target says to them."""
    there = np.flatnonzero(np.isfinite(distance))
    if not len(there):
        return
    allowed = threat.permits(arena.rows[there], points[there])
    distance[there[~allowed]] = np.inf
    asked = there[allowed]
    if len(asked):
        distance[asked] = threat.distance(arena.rows[asked], points[asked])
        said[asked] = arena.model.probabilities(arena.model.predict(points[asked]))


def right_rows(arena: Arena) -> NDArray[np.int64]:
    """Return which rows the target decides rightly without any change."""
    wrong = arena.goal.reached(arena.probabilities, arena.labels)
    return np.flatnonzero(~wrong).astype(np.int64)


def _typed(points: Floats, rows: Array) -> Array:
    whole = np.issubdtype(rows.dtype, np.integer)
    typed: Array = (np.rint(points) if whole else points).astype(rows.dtype)
    return typed
