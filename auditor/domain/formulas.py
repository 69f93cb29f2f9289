"""Formulas over the columns of a table: what they are, and what they are worth row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Operator(StrEnum):
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
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Column:
    """The value of a feature."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """``parts`` under an operator; all operators but ``min`` and ``max`` have one or two parts."""

    operator: Operator
    parts: tuple["Expression", ...]


Expression: TypeAlias = Number | Column | Operation


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """The values of an expression, and the magnitude of what they were computed from.

    Rounding makes ``value`` wrong by a share of ``size``, which is larger than ``value`` where
    large parts cancel.
    """

    value: Floats
    size: Floats


def names(expression: Expression) -> frozenset[str]:
    """Return the columns that an expression speaks of."""
    match expression:
        case Number():
            return frozenset()
        case Column(name):
            return frozenset({name})
        case Operation(_, parts):
            return frozenset().union(*(names(part) for part in parts))


def evaluate(expression: Expression, columns: Mapping[str, Floats]) -> Quantity:
    """Return an expression's values over ``columns`` of equal shape.

    Nothing is raised: what has no value, such as a division by zero, is not finite.
    """
    match expression:
        case Number(number):
            value = np.asarray(number, dtype=np.float64)
            return Quantity(value, np.abs(value))
        case Column(name):
            return Quantity(columns[name], np.abs(columns[name]))
        case Operation(operator, parts):
            with np.errstate(all="ignore"):
                return _operate(operator, [evaluate(part, columns) for part in parts])


def _operate(operator: Operator, parts: Sequence[Quantity]) -> Quantity:
    first, last = parts[0], parts[-1]
    match operator:
        case Operator.PLUS:
            return Quantity(first.value + last.value, first.size + last.size)
        case Operator.MINUS:
            return Quantity(first.value - last.value, first.size + last.size)
        case Operator.TIMES:
            return Quantity(first.value * last.value, first.size * last.size)
        case Operator.OVER:
            size = first.size * last.size / np.square(last.value)
            return Quantity(first.value / last.value, size)
        case Operator.POWER:
            value = np.power(first.value, last.value)
            return Quantity(value, np.abs(value) * np.maximum(np.abs(last.value), 1.0))
        case Operator.ABS:
            return Quantity(np.abs(first.value), first.size)
        case Operator.LEAST | Operator.MOST:
            pick = np.minimum if operator is Operator.LEAST else np.maximum
            value, size = first.value, first.size
            for part in parts[1:]:
                value, size = pick(value, part.value), np.maximum(size, part.size)
            return Quantity(value, size)
