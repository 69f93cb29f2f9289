"""Relations between feature columns: formulas and comparisons, evaluated row by row.

A row that breaks a relation is impossible in the real world.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class FormulaOperator(StrEnum):
    """What a formula may do with its parts."""

    PLUS = "+"
    MINUS = "-"
    TIMES = "*"
    OVER = "/"
    POWER = "**"
    ABS = "abs"
    LEAST = "min"
    MOST = "max"


@dataclass(frozen=True, slots=True)
class FormulaConstant:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class FormulaColumn:
    """The value of a feature."""

    name: str


@dataclass(frozen=True, slots=True)
class FormulaOperation:
    """``parts`` under an operator; all operators but ``min`` and ``max`` have one or two parts."""

    operator: FormulaOperator
    parts: tuple["Expression", ...]


Expression: TypeAlias = FormulaConstant | FormulaColumn | FormulaOperation


@dataclass(frozen=True, slots=True, eq=False)
class FormulaValue:
    """The values of an expression, and the magnitude of what they were computed from.

    Rounding makes ``value`` wrong by a share of ``size``, which is larger than ``value`` where
    large parts cancel.
    """

    value: Floats
    size: Floats


def list_expression_columns(expression: Expression) -> frozenset[str]:
    """Return the columns that an expression speaks of."""
    match expression:
        case FormulaConstant():
            return frozenset()
        case FormulaColumn(name):
            return frozenset({name})
        case FormulaOperation(_, parts):
            return frozenset().union(*(list_expression_columns(part) for part in parts))


def evaluate_expression(expression: Expression, columns: Mapping[str, Floats]) -> FormulaValue:
    """Return an expression's values over ``columns`` of equal shape.

    Nothing is raised: what has no value, such as a division by zero, is not finite.
    """
    match expression:
        case FormulaConstant(number):
            value = np.asarray(number, dtype=np.float64)
            return FormulaValue(value, np.abs(value))
        case FormulaColumn(name):
            return FormulaValue(columns[name], np.abs(columns[name]))
        case FormulaOperation(operator, parts):
            with np.errstate(all="ignore"):
                return _operate(operator, [evaluate_expression(part, columns) for part in parts])


def _operate(operator: FormulaOperator, parts: Sequence[FormulaValue]) -> FormulaValue:
    first, last = parts[0], parts[-1]
    match operator:
        case FormulaOperator.PLUS:
            return FormulaValue(first.value + last.value, first.size + last.size)
        case FormulaOperator.MINUS:
            return FormulaValue(first.value - last.value, first.size + last.size)
        case FormulaOperator.TIMES:
            return FormulaValue(first.value * last.value, first.size * last.size)
        case FormulaOperator.OVER:
            size = first.size * last.size / np.square(last.value)
            return FormulaValue(first.value / last.value, size)
        case FormulaOperator.POWER:
            value = np.power(first.value, last.value)
            return FormulaValue(value, np.abs(value) * np.maximum(np.abs(last.value), 1.0))
        case FormulaOperator.ABS:
            return FormulaValue(np.abs(first.value), first.size)
        case FormulaOperator.LEAST | FormulaOperator.MOST:
            pick = np.minimum if operator is FormulaOperator.LEAST else np.maximum
            value, size = first.value, first.size
            for part in parts[1:]:
                value, size = pick(value, part.value), np.maximum(size, part.size)
            return FormulaValue(value, size)


ROUNDING = 1e-6
"""Share of the numbers compared within which they count as equal: float32 has 6e-8."""

Mask = NDArray[np.bool_]


class ComparisonOrder(StrEnum):
    """How the left side of a comparison must stand to the right one."""

    AT_MOST = "<="
    BELOW = "<"
    EQUAL = "=="


@dataclass(frozen=True, slots=True)
class FormulaComparison:
    """``left`` stands to ``right`` as ``order`` says, but for ``tolerance`` in their own unit.

    Numbers within ``ROUNDING`` of each other count as equal, so that a comparison and its negation
    never hold together, and where both sides have finite values one of them does.
    """

    left: Expression
    order: ComparisonOrder
    right: Expression
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple["Formula", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Formula", ...]


Formula: TypeAlias = FormulaComparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class ColumnRelation:
    """A formula that rows keep, as written in ``text``.

    ``holds`` is the share of clean rows that must keep it: 1 unless the owner of the data says
    that they are dirty.
    """

    text: str
    formula: Formula
    holds: float = 1.0


def list_comparisons(formula: Formula) -> Iterator[FormulaComparison]:
    """Yield the comparisons of a formula from left to right."""
    match formula:
        case FormulaComparison():
            yield formula
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from list_comparisons(part)


def list_formula_columns(formula: Formula) -> frozenset[str]:
    """Return the columns that a formula speaks of."""
    sides = [side for item in list_comparisons(formula) for side in (item.left, item.right)]
    return frozenset().union(*(list_expression_columns(side) for side in sides))


def negate_formula(formula: Formula) -> Formula:
    """Return the formula that holds exactly where ``formula`` does not."""
    match formula:
        case AllOf(parts):
            return AnyOf(tuple(negate_formula(part) for part in parts))
        case AnyOf(parts):
            return AllOf(tuple(negate_formula(part) for part in parts))
        case FormulaComparison(left, order, right, tolerance):
            below = FormulaComparison(right, ComparisonOrder.BELOW, left, 0.0 - tolerance)
            match order:
                case ComparisonOrder.AT_MOST:
                    return below
                case ComparisonOrder.BELOW:
                    return FormulaComparison(right, ComparisonOrder.AT_MOST, left, 0.0 - tolerance)
                case ComparisonOrder.EQUAL:
                    return AnyOf(
                        (
                            FormulaComparison(left, ComparisonOrder.BELOW, right, 0.0 - tolerance),
                            below,
                        )
                    )


def compute_excess(
    comparison: FormulaComparison, columns: Mapping[str, Floats]
) -> tuple[Floats, Floats]:
    """Return by how much each row breaks a comparison, and what rounding may account for.

    A row keeps the comparison where the first is at most the second. The excess is infinite where
    a side has no finite value.
    """
    left = evaluate_expression(comparison.left, columns)
    right = evaluate_expression(comparison.right, columns)
    with np.errstate(all="ignore"):
        gap = left.value - right.value
        gap = np.abs(gap) if comparison.order is ComparisonOrder.EQUAL else gap
        slack = ROUNDING * (left.size + right.size)
        beyond = gap - comparison.tolerance
    known = np.isfinite(beyond) & np.isfinite(slack)
    beyond, slack = np.where(known, beyond, np.inf), np.where(known, slack, 0.0)
    return beyond, -slack if comparison.order is ComparisonOrder.BELOW else slack


def evaluate_formula(formula: Formula, columns: Mapping[str, Floats]) -> Mask:
    """Return which rows of ``columns`` (each ``[n]``) keep a formula.

    A row that lacks a value (NaN) of the formula keeps it: nothing is known against it.
    """
    return np.asarray(_kept(formula, columns) | find_missing_values(formula, columns))


def find_missing_values(formula: Formula, columns: Mapping[str, Floats]) -> Mask:
    """Return which rows lack a value that a formula speaks of."""
    lacking = np.zeros((), dtype=np.bool_)
    for name in list_formula_columns(formula):
        lacking = lacking | np.isnan(columns[name])
    return np.asarray(lacking)


def _kept(formula: Formula, columns: Mapping[str, Floats]) -> Mask:
    match formula:
        case AllOf(parts):
            return reduce(np.logical_and, (_kept(part, columns) for part in parts))
        case AnyOf(parts):
            return reduce(np.logical_or, (_kept(part, columns) for part in parts))
        case FormulaComparison():
            beyond, slack = compute_excess(formula, columns)
            if formula.order is ComparisonOrder.BELOW:
                return np.asarray(beyond < slack)
            return np.asarray(beyond <= slack)
