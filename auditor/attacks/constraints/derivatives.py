"""Formulas differentiated forwards, row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.formulas import Column, Expression, Number, Operation, Operator
from auditor.domain.tasks import Floats

Slopes = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Sloped:
    """An expression's values and their derivatives by each column that it depends on."""

    value: Floats
    slopes: Slopes


def differentiate(expression: Expression, columns: Mapping[str, Floats]) -> Sloped:
    """Return values and derivatives over ``columns``; at a kink, those of one side.

    Nothing is raised: where there is no value or slope, it is not finite.
    """
    match expression:
        case Number(number):
            return Sloped(np.asarray(number, dtype=np.float64), {})
        case Column(name):
            return Sloped(columns[name], {name: np.ones_like(columns[name])})
        case Operation(operator, parts):
            with np.errstate(all="ignore"):
                return _operate(operator, [differentiate(part, columns) for part in parts])


def _operate(operator: Operator, parts: Sequence[Sloped]) -> Sloped:
    a, b = parts[0], parts[-1]
    one = np.asarray(1.0)
    match operator:
        case Operator.PLUS:
            return Sloped(a.value + b.value, _sum((one, a.slopes), (one, b.slopes)))
        case Operator.MINUS:
            return Sloped(a.value - b.value, _sum((one, a.slopes), (-one, b.slopes)))
        case Operator.TIMES:
            return Sloped(a.value * b.value, _sum((b.value, a.slopes), (a.value, b.slopes)))
        case Operator.OVER:
            value = a.value / b.value
            return Sloped(value, _sum((1 / b.value, a.slopes), (-value / b.value, b.slopes)))
        case Operator.POWER:
            return _power(a, b)
        case Operator.ABS:
            return Sloped(np.abs(a.value), _sum((np.sign(a.value), a.slopes)))
        case Operator.LEAST | Operator.MOST:
            sign = 1.0 if operator is Operator.MOST else -1.0
            best = a
            for part in parts[1:]:
                ahead = sign * (part.value - best.value) > 0
                value = np.where(ahead, part.value, best.value)
                shares = (np.where(ahead, 0.0, 1.0), best.slopes), (ahead * one, part.slopes)
                best = Sloped(value, _sum(*shares))
            return best


def _power(base: Sloped, exponent: Sloped) -> Sloped:
    value = np.power(base.value, exponent.value)
    by_base = exponent.value * np.power(base.value, exponent.value - 1)
    if not exponent.slopes:
        return Sloped(value, _sum((by_base, base.slopes)))
    return Sloped(
        value, _sum((by_base, base.slopes), (value * np.log(base.value), exponent.slopes))
    )


def _sum(*terms: tuple[Floats, Slopes]) -> Slopes:
    total: dict[str, Floats] = {}
    for factor, slopes in terms:
        for name, slope in slopes.items():
            total[name] = total.get(name, np.asarray(0.0)) + factor * slope
    return total
