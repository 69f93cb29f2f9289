"""Formulas as linear forms of the columns that are free, and kinks taken apart."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.domain.formulas import Column, Expression, Number, Operation, Operator, evaluate, names
from auditor.domain.relations import AllOf, AnyOf, Comparison, Formula, Order

KINKS = frozenset({Operator.ABS, Operator.LEAST, Operator.MOST})
MOST_VARIANTS = 64
"""Taking kinks apart doubles a comparison with each; beyond this it counts as not linear."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of columns, plus a constant."""

    weights: Mapping[str, float]
    constant: float

    def plus(self, other: "Linear", times: float = 1.0) -> "Linear":
        """Return the sum with ``times`` the other."""
        total = dict(self.weights)
        for name, weight in other.weights.items():
            total[name] = total.get(name, 0.0) + times * weight
        kept = {name: weight for name, weight in total.items() if weight != 0}
        return Linear(kept, self.constant + times * other.constant)


def linear(expression: Expression, fixed: Mapping[str, float]) -> Linear | None:
    """Return an expression as a linear form of the columns that are not ``fixed``, if it is one."""
    if names(expression) <= fixed.keys():
        row = {name: np.asarray(fixed[name], dtype=np.float64) for name in names(expression)}
        value = float(evaluate(expression, row).value)
        return Linear({}, value) if math.isfinite(value) else None
    match expression:
        case Column(name):
            return Linear({name: 1.0}, 0.0)
        case Operation(operator, (first, last)):
            a, b = linear(first, fixed), linear(last, fixed)
            return None if a is None or b is None else _combine(operator, a, b)
        case _:
            return None


def _combine(operator: Operator, a: Linear, b: Linear) -> Linear | None:
    zero = Linear({}, 0.0)
    match operator:
        case Operator.PLUS:
            return a.plus(b)
        case Operator.MINUS:
            return a.plus(b, -1.0)
        case Operator.TIMES if not a.weights:
            return zero.plus(b, a.constant)
        case Operator.TIMES if not b.weights:
            return zero.plus(a, b.constant)
        case Operator.OVER if not b.weights and b.constant != 0:
            return zero.plus(a, 1 / b.constant)
        case Operator.POWER if not b.weights and b.constant == 1:
            return a
        case _:
            return None


def unfolded(formula: Formula) -> Formula:
    """Return an equal formula without ``abs``, ``min`` and ``max`` in its sums.

    ``max(a, b) <= c`` says that both are at most ``c``, ``max(a, b) >= c`` that one is at least.
    """
    match formula:
        case AllOf(parts):
            return AllOf(tuple(unfolded(part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(unfolded(part) for part in parts))
        case Comparison(left, order, right, tolerance):
            gap = Operation(Operator.MINUS, (left, right))
            found = _spread(gap, 1.0)
            if found is None or _variants(gap) > MOST_VARIANTS:
                return formula
            if order is Order.EQUAL:
                sides = (left, right), (right, left)
                both = [Comparison(a, Order.AT_MOST, b, tolerance) for a, b in sides]
                return AllOf(tuple(unfolded(part) for part in both))
            every, variants = found
            zero = Number(0.0)
            parts = tuple(unfolded(Comparison(part, order, zero, tolerance)) for part in variants)
            return AllOf(parts) if every else AnyOf(parts)


def _variants(expression: Expression) -> int:
    if not isinstance(expression, Operation):
        return 1
    inner = math.prod(_variants(part) for part in expression.parts)
    return inner * max(2, len(expression.parts)) if expression.operator in KINKS else inner


def _spread(expression: Expression, sign: float) -> tuple[bool, list[Expression]] | None:
    """Take the first kink apart: whether all variants must be small, and the variants."""
    if not isinstance(expression, Operation):
        return None
    operator, parts = expression.operator, expression.parts
    if operator in KINKS:
        if operator is Operator.ABS:
            parts = (parts[0], Operation(Operator.TIMES, (Number(-1.0), parts[0])))
        return (operator is not Operator.LEAST) == (sign > 0), list(parts)
    for index, part in enumerate(parts):
        turned = _sign(expression, index)
        found = None if turned == 0 else _spread(part, sign * turned)
        if found is not None:
            every, variants = found
            before, after = parts[:index], parts[index + 1 :]
            return every, [Operation(operator, (*before, one, *after)) for one in variants]
    return None


def _sign(operation: Operation, index: int) -> float:
    """Say how the whole moves with part ``index``: 1, -1, or 0 where it depends on the row."""
    other = operation.parts[1 - index]
    match operation.operator:
        case Operator.PLUS:
            return 1.0
        case Operator.MINUS:
            return 1.0 if index == 0 else -1.0
        case Operator.TIMES if isinstance(other, Number):
            return float(np.sign(other.value))
        case Operator.OVER if index == 0 and isinstance(other, Number):
            return float(np.sign(other.value))
        case _:
            return 0.0


def obstacles(formula: Formula, fixed: Mapping[str, float]) -> frozenset[str]:
    """Return free columns that make a formula linear once they are fixed too."""
    if isinstance(formula, Comparison):
        return _obstacles(formula.left, fixed) | _obstacles(formula.right, fixed)
    return frozenset().union(*(obstacles(part, fixed) for part in formula.parts))


def _obstacles(expression: Expression, fixed: Mapping[str, float]) -> frozenset[str]:
    if not isinstance(expression, Operation) or linear(expression, fixed) is not None:
        return frozenset()
    operator, parts = expression.operator, expression.parts
    inner = frozenset[str]().union(*(_obstacles(part, fixed) for part in parts))
    free = [names(part) - fixed.keys() for part in parts]
    match operator:
        case Operator.OVER:
            return inner | free[1]
        case Operator.TIMES if free[0] and free[1]:
            return inner | free[1]
        case Operator.POWER | Operator.ABS | Operator.LEAST | Operator.MOST:
            return inner.union(*free)
        case _:
            return inner
