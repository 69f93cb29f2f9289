"""Linear forms, piecewise expansion and forward-mode derivatives of column formulas."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.feature_relations import (
    AllOf,
    AnyOf,
    ComparisonOrder,
    Expression,
    Formula,
    FormulaColumn,
    FormulaComparison,
    FormulaConstant,
    FormulaOperation,
    FormulaOperator,
    evaluate_expression,
    list_expression_columns,
)
from auditor.domain.tasks import Floats

KINKS = frozenset({FormulaOperator.ABS, FormulaOperator.LEAST, FormulaOperator.MOST})
MOST_VARIANTS = 64
"""Taking kinks apart doubles a comparison with each; beyond this it counts as not linear."""


@dataclass(frozen=True, slots=True)
class LinearForm:
    """A weighted sum of columns, plus a constant."""

    weights: Mapping[str, float]
    constant: float

    def plus(self, other: "LinearForm", times: float = 1.0) -> "LinearForm":
        """Return the sum with ``times`` the other."""
        total = dict(self.weights)
        for name, weight in other.weights.items():
            total[name] = total.get(name, 0.0) + times * weight
        kept = {name: weight for name, weight in total.items() if weight != 0}
        return LinearForm(kept, self.constant + times * other.constant)


def to_linear_form(expression: Expression, fixed: Mapping[str, float]) -> LinearForm | None:
    """Return an expression as a linear form of the columns that are not ``fixed``, if it is one."""
    if list_expression_columns(expression) <= fixed.keys():
        row = {
            name: np.asarray(fixed[name], dtype=np.float64)
            for name in list_expression_columns(expression)
        }
        value = float(evaluate_expression(expression, row).value)
        return LinearForm({}, value) if math.isfinite(value) else None
    match expression:
        case FormulaColumn(name):
            return LinearForm({name: 1.0}, 0.0)
        case FormulaOperation(operator, (first, last)):
            a, b = to_linear_form(first, fixed), to_linear_form(last, fixed)
            return None if a is None or b is None else _combine(operator, a, b)
        case _:
            return None


def _combine(operator: FormulaOperator, a: LinearForm, b: LinearForm) -> LinearForm | None:
    zero = LinearForm({}, 0.0)
    match operator:
        case FormulaOperator.PLUS:
            return a.plus(b)
        case FormulaOperator.MINUS:
            return a.plus(b, -1.0)
        case FormulaOperator.TIMES if not a.weights:
            return zero.plus(b, a.constant)
        case FormulaOperator.TIMES if not b.weights:
            return zero.plus(a, b.constant)
        case FormulaOperator.OVER if not b.weights and b.constant != 0:
            return zero.plus(a, 1 / b.constant)
        case FormulaOperator.POWER if not b.weights and b.constant == 1:
            return a
        case _:
            return None


def expand_kinks(formula: Formula) -> Formula:
    """Return an equal formula without ``abs``, ``min`` and ``max`` in its sums.

    ``max(a, b) <= c`` says that both are at most ``c``, ``max(a, b) >= c`` that one is at least.
    """
    match formula:
        case AllOf(parts):
            return AllOf(tuple(expand_kinks(part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(expand_kinks(part) for part in parts))
        case FormulaComparison(left, order, right, tolerance):
            gap = FormulaOperation(FormulaOperator.MINUS, (left, right))
            found = _spread(gap, 1.0)
            if found is None or _variants(gap) > MOST_VARIANTS:
                return formula
            if order is ComparisonOrder.EQUAL:
                sides = (left, right), (right, left)
                both = [
                    FormulaComparison(a, ComparisonOrder.AT_MOST, b, tolerance) for a, b in sides
                ]
                return AllOf(tuple(expand_kinks(part) for part in both))
            every, variants = found
            zero = FormulaConstant(0.0)
            parts = tuple(
                expand_kinks(FormulaComparison(part, order, zero, tolerance)) for part in variants
            )
            return AllOf(parts) if every else AnyOf(parts)


def _variants(expression: Expression) -> int:
    if not isinstance(expression, FormulaOperation):
        return 1
    inner = math.prod(_variants(part) for part in expression.parts)
    return inner * max(2, len(expression.parts)) if expression.operator in KINKS else inner


def _spread(expression: Expression, sign: float) -> tuple[bool, list[Expression]] | None:
    """Take the first kink apart: whether all variants must be small, and the variants."""
    if not isinstance(expression, FormulaOperation):
        return None
    operator, parts = expression.operator, expression.parts
    if operator in KINKS:
        if operator is FormulaOperator.ABS:
            parts = (
                parts[0],
                FormulaOperation(FormulaOperator.TIMES, (FormulaConstant(-1.0), parts[0])),
            )
        return (operator is not FormulaOperator.LEAST) == (sign > 0), list(parts)
    for index, part in enumerate(parts):
        turned = _sign(expression, index)
        found = None if turned == 0 else _spread(part, sign * turned)
        if found is not None:
            every, variants = found
            before, after = parts[:index], parts[index + 1 :]
            return every, [FormulaOperation(operator, (*before, one, *after)) for one in variants]
    return None


def _sign(operation: FormulaOperation, index: int) -> float:
    """Say how the whole moves with part ``index``: 1, -1, or 0 where it depends on the row."""
    other = operation.parts[1 - index]
    match operation.operator:
        case FormulaOperator.PLUS:
            return 1.0
        case FormulaOperator.MINUS:
            return 1.0 if index == 0 else -1.0
        case FormulaOperator.TIMES if isinstance(other, FormulaConstant):
            return float(np.sign(other.value))
        case FormulaOperator.OVER if index == 0 and isinstance(other, FormulaConstant):
            return float(np.sign(other.value))
        case _:
            return 0.0


def find_nonlinear_columns(formula: Formula, fixed: Mapping[str, float]) -> frozenset[str]:
    """Return free columns that make a formula linear once they are fixed too."""
    if isinstance(formula, FormulaComparison):
        return _obstacles(formula.left, fixed) | _obstacles(formula.right, fixed)
    return frozenset().union(*(find_nonlinear_columns(part, fixed) for part in formula.parts))


def _obstacles(expression: Expression, fixed: Mapping[str, float]) -> frozenset[str]:
    if (
        not isinstance(expression, FormulaOperation)
        or to_linear_form(expression, fixed) is not None
    ):
        return frozenset()
    operator, parts = expression.operator, expression.parts
    inner = frozenset[str]().union(*(_obstacles(part, fixed) for part in parts))
    free = [list_expression_columns(part) - fixed.keys() for part in parts]
    match operator:
        case FormulaOperator.OVER:
            return inner | free[1]
        case FormulaOperator.TIMES if free[0] and free[1]:
            return inner | free[1]
        case (
            FormulaOperator.POWER
            | FormulaOperator.ABS
            | FormulaOperator.LEAST
            | FormulaOperator.MOST
        ):
            return inner.union(*free)
        case _:
            return inner


Slopes = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class DualNumber:
    """An expression's values and their derivatives by each column that it depends on."""

    value: Floats
    slopes: Slopes


def differentiate(expression: Expression, columns: Mapping[str, Floats]) -> DualNumber:
    """Return values and derivatives over ``columns``; at a kink, those of one side.

    Nothing is raised: where there is no value or slope, it is not finite.
    """
    match expression:
        case FormulaConstant(number):
            return DualNumber(np.asarray(number, dtype=np.float64), {})
        case FormulaColumn(name):
            return DualNumber(columns[name], {name: np.ones_like(columns[name])})
        case FormulaOperation(operator, parts):
            with np.errstate(all="ignore"):
                return _operate(operator, [differentiate(part, columns) for part in parts])


def _operate(operator: FormulaOperator, parts: Sequence[DualNumber]) -> DualNumber:
    a, b = parts[0], parts[-1]
    one = np.asarray(1.0)
    match operator:
        case FormulaOperator.PLUS:
            return DualNumber(a.value + b.value, _sum((one, a.slopes), (one, b.slopes)))
        case FormulaOperator.MINUS:
            return DualNumber(a.value - b.value, _sum((one, a.slopes), (-one, b.slopes)))
        case FormulaOperator.TIMES:
            return DualNumber(a.value * b.value, _sum((b.value, a.slopes), (a.value, b.slopes)))
        case FormulaOperator.OVER:
            value = a.value / b.value
            return DualNumber(value, _sum((1 / b.value, a.slopes), (-value / b.value, b.slopes)))
        case FormulaOperator.POWER:
            power_value = np.power(a.value, b.value)
            by_base = b.value * np.power(a.value, b.value - 1)
            if not b.slopes:
                return DualNumber(power_value, _sum((by_base, a.slopes)))
            return DualNumber(
                power_value, _sum((by_base, a.slopes), (power_value * np.log(a.value), b.slopes))
            )
        case FormulaOperator.ABS:
            return DualNumber(np.abs(a.value), _sum((np.sign(a.value), a.slopes)))
        case FormulaOperator.LEAST | FormulaOperator.MOST:
            sign = 1.0 if operator is FormulaOperator.MOST else -1.0
            best = a
            for part in parts[1:]:
                ahead = sign * (part.value - best.value) > 0
                value = np.where(ahead, part.value, best.value)
                shares = (np.where(ahead, 0.0, 1.0), best.slopes), (ahead * one, part.slopes)
                best = DualNumber(value, _sum(*shares))
            return best


def _sum(*terms: tuple[Floats, Slopes]) -> Slopes:
    total: dict[str, Floats] = {}
    for factor, slopes in terms:
        for name, slope in slopes.items():
            total[name] = total.get(name, np.asarray(0.0)) + factor * slope
    return total
