"""Relations: what must hold between the columns of a row for the row to be possible at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.domain.formulas import Expression, Floats, evaluate, names

ROUNDING = 1e-6
"""Share of the numbers compared within which they count as equal: float32 has 6e-8."""

Mask = NDArray[np.bool_]


class Order(StrEnum):
    """How the left side of a comparison must stand to the right one."""

    AT_MOST = "<="
    BELOW = "<"
    EQUAL = "=="


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left`` stands to ``right`` as ``order`` says, but for ``tolerance`` in their own unit.

    Numbers within ``ROUNDING`` of each other count as equal, so that a comparison and its negation
    never hold together, and where both sides have finite values one of them does.
    """

    left: Expression
    order: Order
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


Formula: TypeAlias = Comparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Relation:
    """A formula that rows keep, as written in ``text``.

    ``holds`` is the share of clean rows that must keep it: 1 unless the owner of the data says
    that they are dirty.
    """

    text: str
    formula: Formula
    holds: float = 1.0


def comparisons(formula: Formula) -> Iterator[Comparison]:
    """Yield the comparisons of a formula from left to right."""
    match formula:
        case Comparison():
            yield formula
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from comparisons(part)


def columns_of(formula: Formula) -> frozenset[str]:
    """Return the columns that a formula speaks of."""
    sides = [side for item in comparisons(formula) for side in (item.left, item.right)]
    return frozenset().union(*(names(side) for side in sides))


def negation(formula: Formula) -> Formula:
    """Return the formula that holds exactly where ``formula`` does not."""
    match formula:
        case AllOf(parts):
            return AnyOf(tuple(negation(part) for part in parts))
        case AnyOf(parts):
            return AllOf(tuple(negation(part) for part in parts))
        case Comparison(left, order, right, tolerance):
            below = Comparison(right, Order.BELOW, left, 0.0 - tolerance)
            match order:
                case Order.AT_MOST:
                    return below
                case Order.BELOW:
                    return Comparison(right, Order.AT_MOST, left, 0.0 - tolerance)
                case Order.EQUAL:
                    return AnyOf((Comparison(left, Order.BELOW, right, 0.0 - tolerance), below))


def excess(comparison: Comparison, columns: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Return by how much each row breaks a comparison, and what rounding may account for.

    A row keeps the comparison where the first is at most the second. The excess is infinite where
    a side has no finite value.
    """
    left = evaluate(comparison.left, columns)
    right = evaluate(comparison.right, columns)
    with np.errstate(all="ignore"):
        gap = left.value - right.value
        gap = np.abs(gap) if comparison.order is Order.EQUAL else gap
        slack = ROUNDING * (left.size + right.size)
        beyond = gap - comparison.tolerance
    known = np.isfinite(beyond) & np.isfinite(slack)
    beyond, slack = np.where(known, beyond, np.inf), np.where(known, slack, 0.0)
    return beyond, -slack if comparison.order is Order.BELOW else slack


def kept(formula: Formula, columns: Mapping[str, Floats]) -> Mask:
    """Return which rows of ``columns`` (each ``[n]``) keep a formula.

    A row that lacks a value (NaN) of the formula keeps it: nothing is known against it.
    """
    return np.asarray(_kept(formula, columns) | unknown(formula, columns))


def unknown(formula: Formula, columns: Mapping[str, Floats]) -> Mask:
    """Return which rows lack a value that a formula speaks of."""
    lacking = np.zeros((), dtype=np.bool_)
    for name in columns_of(formula):
        lacking = lacking | np.isnan(columns[name])
    return np.asarray(lacking)


def _kept(formula: Formula, columns: Mapping[str, Floats]) -> Mask:
    match formula:
        case AllOf(parts):
            return reduce(np.logical_and, (_kept(part, columns) for part in parts))
        case AnyOf(parts):
            return reduce(np.logical_or, (_kept(part, columns) for part in parts))
        case Comparison():
            beyond, slack = excess(formula, columns)
            if formula.order is Order.BELOW:
                return np.asarray(beyond < slack)
            return np.asarray(beyond <= slack)
