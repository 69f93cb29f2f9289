"""How far rows violate relations, and the gradient of that violation."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.attacks.tabular.constraints.linear_forms import differentiate
from auditor.attacks.tabular.constraints.reachable_box import Mask
from auditor.attacks.tabular.constraints.row_constraints import RowConstraints
from auditor.domain.feature_relations import (
    AllOf,
    ComparisonOrder,
    Formula,
    FormulaComparison,
    compute_excess,
    evaluate_formula,
    find_missing_values,
)
from auditor.domain.tasks import Array, Floats

MARGIN = 4.0
"""How many times the rounding error two numbers must be apart to be safely unequal."""
LEAST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ConstraintViolation:
    """How far rows are from keeping a formula, about as a share of the columns' ranges.

    ``amount`` is ``[n]``, above 0 exactly where the formula is broken; ``gradient`` is its slope
    in the columns' own units, ``[n, features]``.
    """

    amount: Floats
    gradient: Floats


def satisfies_constraints(constraints: RowConstraints, rows: Array) -> Mask:
    """Return which of ``[n, features]`` rows keep every relation and one-hot group."""
    columns = constraints.columns(rows)
    found = np.ones(len(rows), dtype=np.bool_)
    for relation in constraints.relations:
        found &= evaluate_formula(relation.formula, columns)
    return found


def measure_violations(constraints: RowConstraints, rows: Array) -> Floats:
    """Return by how much each row breaks each relation, as ``[n, relations]``; 0 where it holds."""
    found = [
        formula_violation(constraints, relation.formula, rows) for relation in constraints.relations
    ]
    amounts = [part.amount for part in found]
    return np.stack(amounts, axis=1) if amounts else np.zeros((len(rows), 0))


def violation_penalty(constraints: RowConstraints, rows: Array) -> tuple[Floats, Floats]:
    """Return the sum of violations, ``[n]``, and its gradient, ``[n, features]``.

    A comparison costs its excess, parts that must all hold their sum, and alternatives the least
    of theirs: the loss of CAPGD (Simonetto et al., arXiv 2406.00775, section 3), here in shares
    of the columns' ranges so that no relation drowns the others. 0 exactly where
    ``satisfies_constraints``.
    """
    value = np.zeros(len(rows))
    gradient = np.zeros((len(rows), len(constraints.features)))
    for relation in constraints.relations:
        part = formula_violation(constraints, relation.formula, rows)
        value, gradient = value + part.amount, gradient + part.gradient
    return value, gradient


def formula_violation(
    constraints: RowConstraints, formula: Formula, rows: Array, weight: Floats | None = None
) -> ConstraintViolation:
    """Return how far rows are from keeping a formula.

    Of alternatives the least broken counts or, under a ``weight`` (``[n, features]``, how freely
    each value moves), the one that is reached by the least movement.
    """
    columns = constraints.columns(rows)
    known = np.logical_not(find_missing_values(formula, columns))
    found = _shortfall(constraints, formula, columns, weight)
    return ConstraintViolation(
        np.where(known, found.amount, 0.0), np.where(known[:, None], found.gradient, 0.0)
    )


def _shortfall(
    constraints: RowConstraints,
    formula: Formula,
    columns: Mapping[str, Floats],
    weight: Floats | None,
) -> ConstraintViolation:
    if isinstance(formula, FormulaComparison):
        return _comparison(constraints, formula, columns)
    parts = [_shortfall(constraints, part, columns, weight) for part in formula.parts]
    amounts = np.stack([part.amount for part in parts])
    gradients = np.stack([part.gradient for part in parts])
    if isinstance(formula, AllOf):
        return ConstraintViolation(amounts.sum(axis=0), gradients.sum(axis=0))
    far = amounts if weight is None else _movement(amounts, gradients, weight)
    best, rows = far.argmin(axis=0), np.arange(amounts.shape[1])
    kept_by_one = (amounts == 0).any(axis=0)
    amount = np.where(kept_by_one, 0.0, amounts[best, rows])
    return ConstraintViolation(amount, np.where(kept_by_one[:, None], 0.0, gradients[best, rows]))


def _movement(amounts: Floats, gradients: Floats, weight: Floats) -> Floats:
    slope = np.sqrt((weight * np.square(gradients)).sum(axis=2))
    moves: Floats = np.where(slope > 0, amounts / np.where(slope > 0, slope, 1.0), np.inf)
    return moves


def _comparison(
    constraints: RowConstraints, comparison: FormulaComparison, columns: Mapping[str, Floats]
) -> ConstraintViolation:
    shape = (len(next(iter(columns.values()))), len(constraints.features))
    beyond, slack = (
        np.broadcast_to(part, shape[:1]) for part in compute_excess(comparison, columns)
    )
    strict = comparison.order is ComparisonOrder.BELOW
    broken = beyond >= slack if strict else beyond > slack
    usable = broken & np.isfinite(beyond)
    amount = np.where(usable, beyond, 0.0)
    if strict:
        amount = np.where(usable, amount - MARGIN * slack + LEAST, 0.0)
    gradient = np.where(usable[:, None], _slope(constraints, comparison, columns, shape), 0.0)
    # How much a comparison's gap changes over the ranges, by its slope at their middle
    middle = ((constraints.space.low + constraints.space.high) / 2)[None]
    plain = FormulaComparison(comparison.left, ComparisonOrder.AT_MOST, comparison.right)
    slope = _slope(constraints, plain, constraints.columns(middle), middle.shape)
    span = float((np.abs(slope) * constraints.width).sum())
    scale = span if np.isfinite(span) and span > 0 else 1.0
    amount = np.where(broken & ~usable, 1.0, amount / scale)
    return ConstraintViolation(amount, gradient / scale)


def _slope(
    constraints: RowConstraints,
    comparison: FormulaComparison,
    columns: Mapping[str, Floats],
    shape: tuple[int, int],
) -> Floats:
    left = differentiate(comparison.left, columns)
    right = differentiate(comparison.right, columns)
    gradient = np.zeros(shape)
    for index, feature in enumerate(constraints.features):
        gradient[:, index] += left.slopes.get(feature.name, 0.0)
        gradient[:, index] -= right.slopes.get(feature.name, 0.0)
    if comparison.order is ComparisonOrder.EQUAL:
        with np.errstate(all="ignore"):
            sign = np.sign(left.value - right.value)
        gradient *= np.broadcast_to(sign, shape[:1])[:, None]
    return np.where(np.isfinite(gradient), gradient, 0.0)
