"""Starting points of attacks: dataset rows that the target already decides as an attacker wants."""

import numpy as np

from auditor.attacks.evasion.attack_protocol import AttackContext, Places
from auditor.attacks.evasion.norms import flatten_rows
from auditor.domain.tasks import Floats

NOBODY = -1


def find_harmful_neighbours(ground: AttackContext, count: int) -> Places:
    """Return for each row the places of the ``count`` nearest rows whose decision it aims at.

    They cost no query: an attacker sees how its own data are decided. Nearness is Euclidean over
    the coordinates that may move, in ranges. ``[n, count]``, filled up with ``NOBODY``.
    """
    rows = len(ground.labels)
    found = np.full((rows, count), NOBODY, dtype=np.int64)
    # The squared distances between all rows
    scale = ground.ball.scale
    free = scale > 0
    clean = ground.ball.clean.astype(np.float64) / np.where(free, scale, 1.0)
    points = flatten_rows(np.where(free, np.nan_to_num(clean, nan=0.0), 0.0))
    square = (points * points).sum(axis=1)
    apart: Floats = square[:, None] + square - 2 * points @ points.T
    for label in np.unique(ground.labels):
        own = np.flatnonzero(ground.labels == label)
        assumed = np.full(rows, label, dtype=ground.labels.dtype)
        others = np.flatnonzero(ground.goal.reached(ground.probabilities, assumed))
        order = np.argsort(apart[np.ix_(own, others)], axis=1, kind="stable")[:, :count]
        found[own, : order.shape[1]] = others[order]
    return found
