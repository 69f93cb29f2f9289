"""What a success needs at least: the smallest budget, and no unit that could stay."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.constraints.minimising import Minimal, minimal_change
from auditor.attacks.constraints.reaching import Mask, Reach
from auditor.attacks.tabular import Judge, Rows
from auditor.attacks.tabular_moves import carried_out, single_moves
from auditor.domain.tasks import Array, Floats

REFINE = 6
"""Bisections of each success: the budget that it needs is then known to 1/64 of it."""


ALONE = 0.5
"""The largest share of a row's queries that goes to units moved alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """Minimal counterexamples of ``rows``, and what the target said to them when asked again.

    In those that are ``certain`` no moved unit can be put back; the others ran out of queries.
    """

    rows: Rows
    minimal: Minimal
    probabilities: Floats
    certain: Mask


def first_region(regions: list[Reach], reached: NDArray[np.bool_]) -> Reach:
    """Return each row's region of the first budget that ``reached`` (``[budgets, n]``) marks.

    Rows that none marks get the last one.
    """
    place = np.where(reached.any(axis=0), reached.argmax(axis=0), len(regions) - 1)
    numbers = np.arange(len(place))
    lower = np.stack([region.lower for region in regions])[place, numbers]
    upper = np.stack([region.upper for region in regions])[place, numbers]
    return Reach(regions[0].clean, lower, upper)


def refine(judge: Judge, rows: Rows) -> None:
    """Bisect the quantities of each success towards its clean row; its codes stay."""
    crafted = judge.standing.crafted[rows].astype(np.float64)
    clean, steps = judge.region.exact[rows], judge.table.steps
    near, far = np.zeros(len(rows)), np.ones(len(rows))
    for _round in range(REFINE if len(rows) else 0):
        middle = (near + far) / 2
        points = np.where(steps, clean + middle[:, None] * (crafted - clean), crafted)
        reached, _ = judge.submit(rows, judge.candidates(rows, points))
        near, far = np.where(reached, near, middle), np.where(reached, middle, far)


def close(judge: Judge, rows: Rows, most: int, tick: Callable[[], None]) -> Closed:
    """Make the success of each of ``rows`` minimal, by at most ``most`` queries a row.

    Where one unit alone that goes to a limit or a code succeeds too, that is where it begins. The
    target is asked about each result once more, so that it counts by what was said to it.
    """
    asked = np.zeros(len(rows), dtype=np.int64)
    crafted = _by_one_unit(judge, rows, judge.standing.crafted[rows].copy(), most, asked)

    def broken(points: Array, places: NDArray[np.int64]) -> Mask:
        tick()
        # What was heard of a success need not be asked again.
        reached: Mask = np.asarray((points == crafted[places]).all(axis=1))
        asked[places[~reached]] += 1
        due = ~reached & (asked[places] < most)
        reached[due], _ = judge.submit(rows[places[due]], points[due])
        return reached

    region = judge.region.take(rows)
    found = minimal_change(judge.table.constraints, region, crafted, broken)
    probabilities = judge.table.arena.probabilities[rows]
    if len(rows):
        _, probabilities = judge.ask(found.points)
    return Closed(rows, found, probabilities, asked < most)


def _by_one_unit(
    judge: Judge, rows: Rows, crafted: Array, most: int, asked: NDArray[np.int64]
) -> Array:
    """Return the successes, those that move more than one unit by such that do not, if there are.

    Quantities come before codes and the cheap before the dear; ``asked`` counts the queries.
    """
    constraints, found = judge.table.constraints, crafted.copy()
    moves = single_moves(constraints, judge.region.take(rows))
    if len(moves) > ALONE * most:
        return found
    moves.sort(key=lambda move: (move.limit is None, constraints.units[move.unit].cost))
    due = np.flatnonzero(judge.table.units(judge.region.clean[rows], crafted) > 1)
    for move in moves:
        part = judge.region.take(rows[due])
        points = carried_out(move, constraints, part, part.exact)
        candidates = judge.candidates(rows[due], points)
        single = judge.table.units(part.clean, candidates) == 1
        due_now, candidates = due[single], candidates[single]
        asked[due_now] += 1
        reached, _ = judge.submit(rows[due_now], candidates)
        found[due_now[reached]] = candidates[reached]
        due = np.setdiff1d(due, due_now[reached])
    return found
