"""The cheap part of repair: limits, whole numbers, codes, one-hot groups and definitions."""

import numpy as np

from auditor.attacks.constraints.reaching import SLACK, Reach, wholes
from auditor.attacks.constraints.structure import Constraints
from auditor.domain.formulas import evaluate
from auditor.domain.relations import kept
from auditor.domain.tasks import Array, FeatureKind, Floats


def settle(constraints: Constraints, region: Reach, points: Array) -> Array:
    """Return the nearest rows within reach that hold what their columns may, in the clean type.

    Codes go to the nearest one and groups to their largest column. What a relation defines is
    computed anew in rows that break it. Other relations may stay broken. Settling twice changes
    nothing.
    """
    found = points.astype(np.float64)
    found = np.where(np.isnan(found), region.exact, found)
    found = _chosen(constraints, region, found)
    found = _coded(constraints, region, found)
    found = _bounded(constraints, region, found)
    for definition in constraints.definitions:
        columns = constraints.columns(found)
        broken = ~kept(definition.formula, columns)
        if broken.any():
            value = np.broadcast_to(evaluate(definition.expression, columns).value, len(found))
            column = definition.column
            usable = np.logical_and(broken & region.movable[:, column], np.isfinite(value))
            found[:, column] = np.where(usable, value, found[:, column])
            found = _bounded(constraints, region, found)
    return _typed(region, found)


def _chosen(constraints: Constraints, region: Reach, points: Floats) -> Floats:
    found = points.copy()
    for group in constraints.groups:
        columns = list(group)
        chosen = np.zeros((len(found), len(columns)))
        chosen[np.arange(len(found)), found[:, columns].argmax(axis=1)] = 1.0
        free = np.asarray(region.movable[:, columns].all(axis=1))
        found[:, columns] = np.where(free[:, None], chosen, region.exact[:, columns])
    return found


def _coded(constraints: Constraints, region: Reach, points: Floats) -> Floats:
    found = points.copy()
    for index, feature in enumerate(constraints.features):
        if feature.kind is FeatureKind.CATEGORICAL:
            codes = np.array(feature.categories)
            nearest = codes[np.abs(found[:, index, None] - codes).argmin(axis=1)]
            free = region.movable[:, index]
            found[:, index] = np.where(free, nearest, region.exact[:, index])
    return found


def _bounded(constraints: Constraints, region: Reach, points: Floats) -> Floats:
    whole = wholes(constraints, region.clean)
    found = np.where(whole, np.rint(points), points)
    # A clean value that is not whole, or that lies outside, is its own lower or upper limit.
    return np.asarray(np.clip(found, region.lower, region.upper))


def _typed(region: Reach, points: Floats) -> Array:
    typed = points.astype(region.clean.dtype)
    wide = typed.astype(np.float64)
    # A narrower type may round across a limit: step back towards the clean value.
    slack = SLACK * (region.upper - region.lower)
    across = (wide > region.upper + slack) | (wide < region.lower - slack)
    if across.any() and np.issubdtype(typed.dtype, np.floating):
        typed = np.where(across, np.nextafter(typed, region.clean), typed)
    return typed
