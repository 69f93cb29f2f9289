"""The box of values that an attacker can reach from a row, before any relation is checked."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.tabular.constraints.row_constraints import MOVED_BY_STEPS, RowConstraints
from auditor.domain.tasks import Array, FeatureDirection, FeatureKind, Floats

SLACK = 1e-6
"""Rounding error that is forgiven, as a share of a column's range."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ReachableBox:
    """The limits of ``[n, features]`` clean rows; a limit that equals the clean value is fixed."""

    clean: Array
    lower: Floats
    upper: Floats

    @property
    def movable(self) -> Mask:
        """Which values can change at all."""
        return self.upper > self.lower

    @property
    def exact(self) -> Floats:
        """The clean rows as float64."""
        return self.clean.astype(np.float64)

    def take(self, keep: NDArray[np.generic]) -> "ReachableBox":
        """Return the part for some rows."""
        return ReachableBox(self.clean[keep], self.lower[keep], self.upper[keep])

    def pinned(self, where: Mask) -> "ReachableBox":
        """Return the same with the values at ``where`` (``[n, features]``) fixed."""
        exact = self.exact
        return replace(
            self,
            lower=np.where(where, exact, self.lower),
            upper=np.where(where, exact, self.upper),
        )


def find_reachable_box(constraints: RowConstraints, clean: Array, eps: float) -> ReachableBox:
    """Return how far ``[n, features]`` rows may move under a budget of ``eps``.

    Numeric and integer features move by at most ``eps`` of their range, in their direction and
    within it; what is binary, categorical or one-hot may take any code, since a code is no
    quantity. Immutable features stay. The range is widened to a clean value outside it.
    """
    exact = clean.astype(np.float64)
    space, features = constraints.space, constraints.features
    steps = np.array([feature.kind in MOVED_BY_STEPS for feature in features])
    free = np.array([not feature.immutable for feature in features])
    radius = np.where(free, np.where(steps, eps, 1.0) * space.width, 0.0)
    rises = np.array([feature.direction is not FeatureDirection.DECREASE for feature in features])
    falls = np.array([feature.direction is not FeatureDirection.INCREASE for feature in features])
    lower = np.maximum(exact - radius * falls, np.minimum(space.low, exact))
    upper = np.minimum(exact + radius * rises, np.maximum(space.high, exact))
    whole = integer_columns(constraints, clean)
    lower = np.where(whole, np.minimum(np.ceil(lower - SLACK), exact), lower)
    upper = np.where(whole, np.maximum(np.floor(upper + SLACK), exact), upper)
    return ReachableBox(clean, lower, upper)


def integer_columns(constraints: RowConstraints, rows: Array) -> Mask:
    """Return which columns hold whole numbers, because of their kind or of the rows' type."""
    if not np.issubdtype(rows.dtype, np.floating):
        return np.ones(len(constraints.features), dtype=np.bool_)
    kinds = [feature.kind for feature in constraints.features]
    return np.array([kind in {FeatureKind.INTEGER, FeatureKind.BINARY} for kind in kinds])


def find_permitted_rows(constraints: RowConstraints, region: ReachableBox, points: Array) -> Mask:
    """Return which rows stay within reach and hold what their columns may hold.

    Relations are the question of ``satisfies_constraints``.
    """
    found, exact = points.astype(np.float64), region.exact
    slack = SLACK * np.where(region.movable, constraints.width, 0.0)
    good = (found >= region.lower - slack) & (found <= region.upper + slack)
    good &= ~integer_columns(constraints, points) | (found == np.rint(found))
    for index, feature in enumerate(constraints.features):
        if feature.categories:
            codes = np.array(feature.categories).astype(points.dtype)
            good[:, index] &= np.isin(points[:, index], codes)
    kept: Mask = (good | (found == exact)).all(axis=1)
    return kept


def find_moved_units(constraints: RowConstraints, clean: Array, points: Array) -> Mask:
    """Return which units of each row were moved, as ``[n, units]``."""
    apart = clean != points
    return np.stack([apart[:, unit.columns].any(axis=1) for unit in constraints.units], axis=1)


def price_moves(constraints: RowConstraints, clean: Array, points: Array) -> Floats:
    """Return what each unit's move costs, as ``[n, units]``: cost times share of its range."""
    change = np.abs(points.astype(np.float64) - clean.astype(np.float64))
    shares = change / np.where(constraints.width > 0, constraints.width, 1.0)
    prices = [
        unit.cost * (shares[:, unit.columns].max(axis=1) > 0)
        if unit.choice
        else unit.cost * shares[:, unit.columns[0]]
        for unit in constraints.units
    ]
    return np.stack(prices, axis=1).astype(np.float64)


def units_to_columns(constraints: RowConstraints, units: Mask) -> Mask:
    """Return ``[n, units]`` as ``[n, features]``."""
    columns = np.zeros((len(units), len(constraints.features)), dtype=np.bool_)
    for index, unit in enumerate(constraints.units):
        columns[:, unit.columns] = units[:, index, None]
    return columns
