"""Repair: the row near a proposed one that the world could produce and the attacker could reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from auditor.attacks.constraints.linear import obstacles, unfolded
from auditor.attacks.constraints.programs import Limits, RowProblem, nearest
from auditor.attacks.constraints.projecting import project
from auditor.attacks.constraints.reaching import Mask, Reach, permits, wholes
from auditor.attacks.constraints.settling import settle
from auditor.attacks.constraints.shortfalls import holds
from auditor.attacks.constraints.structure import Constraints
from auditor.domain.relations import Formula
from auditor.domain.tasks import Array, Floats

HALVINGS = 10
LIMITS = Limits()


class Effort(StrEnum):
    """How hard repair tries: projections only, then a program, or the program at once.

    ``NEAREST`` gives the nearest row where all relations are linear in what the row may change.
    """

    FAST = "fast"
    FULL = "full"
    NEAREST = "nearest"


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """Rows after repair, and which of them are feasible; a row that defied repair is clean again.

    A clean row is feasible unless the data themselves break a relation.
    """

    points: Array
    feasible: Mask


def feasible(constraints: Constraints, region: Reach, points: Array) -> Mask:
    """Return which rows are within reach and keep every relation and one-hot group."""
    found: Mask = permits(constraints, region, points) & holds(constraints, points)
    return found


def repair(
    constraints: Constraints,
    region: Reach,
    points: Array,
    *,
    effort: Effort = Effort.FULL,
    limits: Limits = LIMITS,
) -> Repaired:
    """Return feasible rows near ``points`` (``[n, features]``), in the type of the clean rows.

    Settled rows that still break a relation are projected, then solved for, then drawn towards
    the clean row, and at last are the clean row. Repairing twice changes nothing.
    """
    found = settle(constraints, region, points)
    stages = {
        Effort.FAST: (project, _drawn),
        Effort.FULL: (project, _Solving(limits), _drawn),
        Effort.NEAREST: (_Solving(limits), project, _drawn),
    }
    for stage in stages[effort]:
        bad = np.flatnonzero(~feasible(constraints, region, found))
        if not bad.size:
            break
        part = region.take(bad)
        tried = stage(constraints, part, points[bad])
        good = feasible(constraints, part, tried)
        found[bad[good]] = tried[good]
    good = feasible(constraints, region, found)
    found = np.where(good[:, None], found, region.clean)
    return Repaired(found, good | holds(constraints, region.clean))


def _drawn(constraints: Constraints, region: Reach, points: Array) -> Array:
    """Halve the way to the clean row until a row is feasible."""
    found = settle(constraints, region, points)
    share = 1.0
    for _ in range(HALVINGS):
        bad = np.flatnonzero(~feasible(constraints, region, found))
        if not bad.size:
            break
        share /= 2
        part = region.take(bad)
        exact = part.exact
        nearer = exact + share * (
            np.clip(points[bad].astype(np.float64), part.lower, part.upper) - exact
        )
        found[bad] = settle(constraints, part, nearer)
    return found


@dataclass(frozen=True, slots=True)
class _Solving:
    limits: Limits

    def __call__(self, constraints: Constraints, region: Reach, points: Array) -> Array:
        formulas = [unfolded(formula) for formula in constraints.conjuncts]
        found = settle(constraints, region, points)
        for row in range(len(points)):
            part = region.take(np.array([row]))
            for problem in _problems(constraints, formulas, part, points[row], found[row]):
                solved = nearest(constraints, formulas, problem, self.limits)
                if solved is None:
                    continue
                settled = project(constraints, part, solved[None])
                if feasible(constraints, part, settled).all():
                    found[row] = settled[0]
                    break
        return found


def _problems(
    constraints: Constraints,
    formulas: list[Formula],
    region: Reach,
    point: Array,
    settled: Array,
) -> Iterator[RowProblem]:
    """Yield the row's problem, and where it is not linear the same with some columns fixed."""
    lower, upper = region.lower[0], region.upper[0]
    wanted = np.where(np.isnan(point.astype(np.float64)), region.exact[0], point)
    whole = wholes(constraints, region.clean).astype(np.float64)
    names = [feature.name for feature in constraints.features]
    fixed = {name: float(lower[i]) for i, name in enumerate(names) if lower[i] == upper[i]}
    bent = frozenset[str]().union(*(obstacles(formula, fixed) for formula in formulas))
    if not bent:
        yield RowProblem(lower, upper, wanted, whole)
        return
    pinned = np.array([name in bent for name in names])
    for values in (settled.astype(np.float64), region.exact[0]):
        ends: tuple[Floats, Floats] = (
            np.where(pinned, values, lower),
            np.where(pinned, values, upper),
        )
        yield RowProblem(*ends, wanted, whole)
