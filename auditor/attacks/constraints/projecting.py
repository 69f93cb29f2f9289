"""Moving numbers until every relation holds: the fast part of repair, for relations of any form."""

import numpy as np

from auditor.attacks.constraints.derivatives import differentiate
from auditor.attacks.constraints.reaching import SLACK, Reach, wholes
from auditor.attacks.constraints.settling import settle
from auditor.attacks.constraints.shortfalls import holds, shortfall
from auditor.attacks.constraints.structure import MOVED_BY_STEPS, Constraints
from auditor.domain.relations import Formula, kept
from auditor.domain.tasks import Array, Floats

SWEEPS = 30
OVERSHOOT = 1 + 1e-9


def project(constraints: Constraints, region: Reach, points: Array) -> Array:
    """Return settled rows after alternating projections onto the relations that they break.

    Each step is Newton's for one relation, of least squares in shares of the ranges and weighted
    by cost, through the definitions; the sweeps are cyclic projections (Boyle and Dykstra 1986,
    without the correction). Rows that still break something are returned as they came to be.
    """
    found = settle(constraints, region, points)
    active = np.arange(len(found))
    for _ in range(SWEEPS):
        active = active[~holds(constraints, found[active])]
        if not active.size:
            break
        part = region.take(active)
        exact = found[active].astype(np.float64)
        for formula in constraints.conjuncts:
            exact = _step(constraints, part, exact, formula)
        settled = settle(constraints, part, exact)
        stuck = (settled == found[active]).all(axis=1)
        found[active] = settled
        active = active[~stuck]
    return found


def _step(constraints: Constraints, region: Reach, points: Floats, formula: Formula) -> Floats:
    broken = ~kept(formula, constraints.columns(points))
    if not broken.any():
        return points
    weight = _freedom(constraints, region)
    short = shortfall(constraints, formula, points, weight)
    slope = _through(constraints, region, points, short.gradient, formula)
    # A value at its limit cannot go further that way.
    stuck = ((slope > 0) & (points <= region.lower)) | ((slope < 0) & (points >= region.upper))
    push = np.where(stuck, 0.0, weight * slope)
    strength = (push * slope).sum(axis=1)
    usable = broken & (strength > 0)
    size = np.where(usable, OVERSHOOT * short.amount / np.where(usable, strength, 1.0), 0.0)
    step = -size[:, None] * push
    target = points + step
    whole = wholes(constraints, region.clean)
    outward = np.where(step > 0, np.ceil(target - SLACK), np.floor(target + SLACK))
    target = np.where(whole & (step != 0), outward, target)
    return np.asarray(np.clip(target, region.lower, region.upper))


def _freedom(constraints: Constraints, region: Reach) -> Floats:
    steps = np.array([feature.kind in MOVED_BY_STEPS for feature in constraints.features])
    weight = np.square(constraints.width) / constraints.cost
    return np.asarray(np.where(region.movable & steps, weight, 0.0))


def _through(
    constraints: Constraints, region: Reach, points: Floats, slope: Floats, formula: Formula
) -> Floats:
    """Return the slope by what defines the defined columns, which follow by themselves."""
    total = slope.copy()
    places = {feature.name: index for index, feature in enumerate(constraints.features)}
    columns = constraints.columns(points)
    for definition in reversed(constraints.definitions):
        if definition.conditional or definition.formula is formula:
            continue
        column = definition.column
        handed = np.where(region.movable[:, column], total[:, column], 0.0)
        for name, by in differentiate(definition.expression, columns).slopes.items():
            share = handed * by
            total[:, places[name]] += np.where(np.isfinite(share), share, 0.0)
        total[:, column] -= handed
    return total
