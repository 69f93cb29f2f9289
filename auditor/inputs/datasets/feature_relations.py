"""Parser of feature relations in a schema: text in, formulas out, without running any code."""

import ast
import math
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

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
    list_formula_columns,
    negate_formula,
)

MOST_CHARACTERS = 2_000
DEEPEST = 100
_QUOTED = re.compile(r"`([^`]*)`")
_CONDITIONAL = re.compile(r"\s*if\b(?P<condition>.+?)\bthen\b(?P<consequence>.+)", re.DOTALL)
_BINARY: Mapping[type[ast.operator], FormulaOperator] = MappingProxyType(
    {
        ast.Add: FormulaOperator.PLUS,
        ast.Sub: FormulaOperator.MINUS,
        ast.Mult: FormulaOperator.TIMES,
        ast.Div: FormulaOperator.OVER,
        ast.Pow: FormulaOperator.POWER,
    }
)
_CALLS = MappingProxyType(
    {"abs": FormulaOperator.ABS, "min": FormulaOperator.LEAST, "max": FormulaOperator.MOST}
)
ALLOWED = (
    "Use numbers, names of features, + - * / **, abs, min and max; <= < == >= > != and in; "
    "and, or, not; if ... then ..."
)


class FormulaError(ValueError):
    """A text is not a formula; says what is wrong with it and the cure."""

    def __init__(self, problem: str, cure: str = ALLOWED) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


def parse_relation(text: str, features: Collection[str], tolerance: float = 0.0) -> Formula:
    """Return the formula that ``text`` writes over the names in ``features``.

    ``tolerance`` goes to every comparison but those of a condition after ``if``. Names that are no
    Python names stand between backticks. Raises ``FormulaError``.
    """
    if len(text) > MOST_CHARACTERS:
        raise FormulaError(f"is longer than {MOST_CHARACTERS:,} characters", "Split it.")
    quoted: dict[str, str] = {}

    def hide(found: re.Match[str]) -> str:
        return f" {quoted.setdefault(found.group(1), f'_quoted_{len(quoted)}')} "

    plain = _QUOTED.sub(hide, text)
    reader = _FormulaParser(
        frozenset(features), {name: real for real, name in quoted.items()}, tolerance
    )
    conditional = _CONDITIONAL.fullmatch(plain)
    if conditional is None:
        formula = reader.formula(_tree(plain))
    else:
        exact = _FormulaParser(reader.features, reader.quoted, 0.0)
        condition = exact.formula(_tree(conditional["condition"]))
        consequence = reader.formula(_tree(conditional["consequence"]))
        formula = AnyOf((negate_formula(condition), consequence))
    if not list_formula_columns(formula):
        raise FormulaError("speaks of no feature", "Name the features that it relates.")
    return formula


def _tree(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError("cannot be read as a formula") from None
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise FormulaError(f"is nested more than {DEEPEST} deep", "Split it into several.")
    return tree


@dataclass(frozen=True, slots=True)
class _FormulaParser:
    features: frozenset[str]
    quoted: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.0

    def formula(self, node: ast.expr) -> Formula:
        match node:
            case ast.BoolOp(ast.And(), values):
                return AllOf(tuple(self.formula(value) for value in values))
            case ast.BoolOp(ast.Or(), values):
                return AnyOf(tuple(self.formula(value) for value in values))
            case ast.UnaryOp(ast.Not(), operand):
                return negate_formula(self.formula(operand))
            case ast.Compare(first, operators, others):
                sides = [first, *others]
                parts = tuple(
                    self._comparison(left, operator, right)
                    for left, operator, right in zip(sides, operators, others, strict=False)
                )
                return parts[0] if len(parts) == 1 else AllOf(parts)
            case _:
                raise FormulaError(
                    f"has `{_written(node)}` where something true or false should stand"
                )

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Formula:
        if isinstance(operator, ast.In | ast.NotIn):
            if isinstance(right, ast.List | ast.Tuple | ast.Set) and right.elts:
                members = right.elts
            else:
                raise FormulaError(
                    "has no list after `in`", "Write the codes, as in `purpose in [1, 2]`."
                )
            found = AnyOf(tuple(self._equal(left, code) for code in members))
            return negate_formula(found) if isinstance(operator, ast.NotIn) else found
        a, b, tolerance = self._expression(left), self._expression(right), self.tolerance
        match operator:
            case ast.LtE():
                return FormulaComparison(a, ComparisonOrder.AT_MOST, b, tolerance)
            case ast.GtE():
                return FormulaComparison(b, ComparisonOrder.AT_MOST, a, tolerance)
            case ast.Lt():
                return FormulaComparison(a, ComparisonOrder.BELOW, b, tolerance)
            case ast.Gt():
                return FormulaComparison(b, ComparisonOrder.BELOW, a, tolerance)
            case ast.Eq():
                return FormulaComparison(a, ComparisonOrder.EQUAL, b, tolerance)
            case ast.NotEq():
                return negate_formula(FormulaComparison(a, ComparisonOrder.EQUAL, b))
            case _:
                raise FormulaError("compares by `is`")

    def _equal(self, left: ast.expr, right: ast.expr) -> FormulaComparison:
        a, b = self._expression(left), self._expression(right)
        return FormulaComparison(a, ComparisonOrder.EQUAL, b, self.tolerance)

    def _expression(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(int() | float() as value) if not isinstance(value, bool):
                number_value = float(value) if abs(value) < 10**300 else math.inf
                if not math.isfinite(number_value):
                    raise FormulaError(
                        "has a number that is too large", "Write numbers below 1e300."
                    )
                return FormulaConstant(number_value)
            case ast.Name(name):
                column_name = self.quoted.get(name, name)
                if column_name not in self.features:
                    there = ", ".join(sorted(self.features))
                    raise FormulaError(
                        f"names {column_name!r}, which is not a feature of the schema",
                        f"There are {there}; a name with other signs than letters, digits and _ "
                        "stands between backticks.",
                    )
                return FormulaColumn(column_name)
            case ast.UnaryOp(ast.USub(), operand):
                inner = self._expression(operand)
                if isinstance(inner, FormulaConstant):
                    return FormulaConstant(-inner.value)
                return FormulaOperation(FormulaOperator.TIMES, (FormulaConstant(-1.0), inner))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self._expression(operand)
            case ast.BinOp(left, operator, right) if type(operator) in _BINARY:
                parts = (self._expression(left), self._expression(right))
                return FormulaOperation(_BINARY[type(operator)], parts)
            case ast.Call(ast.Name(name), arguments, []) if name in _CALLS:
                return self._call(_CALLS[name], arguments)
            case _:
                raise FormulaError(f"has `{_written(node)}`, which is not a number that rows give")

    def _call(self, operator: FormulaOperator, arguments: list[ast.expr]) -> Expression:
        alone = operator is FormulaOperator.ABS
        if (len(arguments) == 1) != alone or not arguments:
            wanted = "one argument" if alone else "two or more arguments"
            raise FormulaError(f"gives {operator.value} {len(arguments)}; it takes {wanted}")
        return FormulaOperation(
            operator, tuple(self._expression(argument) for argument in arguments)
        )


def _written(node: ast.expr) -> str:
    return ast.unparse(node)[:60]
