"""The constraints that a schema sets on a row: relations, choices and defined columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.feature_relations import (
    AllOf,
    AnyOf,
    ColumnRelation,
    ComparisonOrder,
    Expression,
    Formula,
    FormulaColumn,
    FormulaComparison,
    FormulaConstant,
    FormulaOperation,
    FormulaOperator,
    list_expression_columns,
)
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature, InputSpace

MOVED_BY_STEPS = frozenset({FeatureKind.NUMERIC, FeatureKind.INTEGER})


@dataclass(frozen=True, slots=True)
class ColumnUnit:
    """What an attacker moves at once: a feature, or all columns of a one-hot group.

    A ``choice`` moves to another code, which counts as its whole range.
    """

    name: str
    columns: tuple[int, ...]
    cost: float
    choice: bool


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A relation that says what ``name`` must be, given the other columns.

    It is put to use in rows that break ``formula``. Where it is ``conditional`` the relation can
    also be kept otherwise.
    """

    name: str
    column: int
    expression: Expression
    formula: Formula
    conditional: bool


@dataclass(frozen=True, slots=True, eq=False)
class RowConstraints:
    """All that the rows of one input space keep.

    ``relations`` are those of the schema, then one for each one-hot group; ``conjuncts`` are the
    same taken apart where all parts must hold. ``definitions`` stand in an order in which none
    uses what a later one defines.
    """

    space: InputSpace
    relations: tuple[ColumnRelation, ...]
    conjuncts: tuple[Formula, ...]
    groups: tuple[tuple[int, ...], ...]
    units: tuple[ColumnUnit, ...]
    definitions: tuple[ColumnDefinition, ...]

    @property
    def features(self) -> tuple[InputFeature, ...]:
        """The columns in their order."""
        return self.space.features

    @property
    def width(self) -> Floats:
        """The range of each column."""
        return self.space.width

    @property
    def cost(self) -> Floats:
        """What moving each column over its range costs."""
        return np.array([feature.cost for feature in self.features])

    def columns(self, rows: Array) -> Mapping[str, Floats]:
        """Return ``[n, features]`` rows as named columns."""
        exact = rows.astype(np.float64)
        return {feature.name: exact[:, index] for index, feature in enumerate(self.features)}


def prepare_constraints(space: InputSpace) -> RowConstraints:
    """Prepare what a space with features asks of its rows.

    Raises ``ValueError`` for a space without features: pixels have no relations.
    """
    if not space.features:
        message = "an input space without features has no constraints"
        raise ValueError(message)
    groups: dict[str, list[int]] = {}
    for index, feature in enumerate(space.features):
        if feature.one_hot is not None:
            groups.setdefault(feature.one_hot, []).append(index)
    members = {name: tuple(columns) for name, columns in groups.items()}
    choices = [_one_of(name, columns, space.features) for name, columns in members.items()]
    relations = (*space.relations, *choices)
    conjuncts = [part for relation in relations for part in _conjuncts(relation.formula)]
    return RowConstraints(
        space=space,
        relations=relations,
        conjuncts=tuple(conjuncts),
        groups=tuple(members.values()),
        units=tuple(_units(space.features, members)),
        definitions=_definitions(conjuncts, space.features),
    )


def _one_of(name: str, columns: Sequence[int], features: Sequence[InputFeature]) -> ColumnRelation:
    total: Expression = FormulaColumn(features[columns[0]].name)
    for column in columns[1:]:
        total = FormulaOperation(
            FormulaOperator.PLUS, (total, FormulaColumn(features[column].name))
        )
    return ColumnRelation(
        f"one of {name}", FormulaComparison(total, ComparisonOrder.EQUAL, FormulaConstant(1.0))
    )


def _conjuncts(formula: Formula) -> Iterator[Formula]:
    if isinstance(formula, AllOf):
        for part in formula.parts:
            yield from _conjuncts(part)
    else:
        yield formula


def _units(
    features: Sequence[InputFeature], groups: Mapping[str, tuple[int, ...]]
) -> Iterator[ColumnUnit]:
    for index, feature in enumerate(features):
        if feature.one_hot is None:
            choice = feature.kind not in MOVED_BY_STEPS
            yield ColumnUnit(feature.name, (index,), feature.cost, choice)
        elif groups[feature.one_hot][0] == index:
            yield ColumnUnit(feature.one_hot, groups[feature.one_hot], feature.cost, choice=True)


def _definitions(
    conjuncts: Sequence[Formula], features: Sequence[InputFeature]
) -> tuple[ColumnDefinition, ...]:
    found: dict[str, ColumnDefinition] = {}
    for formula in conjuncts:
        for definition in _defining(formula, features):
            if definition.name not in found and definition.name not in _behind(definition, found):
                found[definition.name] = definition
                break
    ordered: list[ColumnDefinition] = []
    while len(ordered) < len(found):
        done = {definition.name for definition in ordered}
        waiting = found.keys() - done
        ordered += [
            definition
            for name, definition in found.items()
            if name in waiting and not list_expression_columns(definition.expression) & waiting
        ]
    return tuple(ordered)


def _defining(formula: Formula, features: Sequence[InputFeature]) -> Iterator[ColumnDefinition]:
    places = {
        feature.name: index
        for index, feature in enumerate(features)
        if feature.kind in MOVED_BY_STEPS and not feature.immutable
    }
    whole = isinstance(formula, FormulaComparison)
    parts = formula.parts if isinstance(formula, AnyOf) else (formula,)
    for part in (inner for outer in parts for inner in _conjuncts(outer)):
        if not isinstance(part, FormulaComparison) or part.order is not ComparisonOrder.EQUAL:
            continue
        for one, other in ((part.left, part.right), (part.right, part.left)):
            if (
                isinstance(one, FormulaColumn)
                and one.name in places
                and one.name not in list_expression_columns(other)
            ):
                yield ColumnDefinition(
                    one.name, places[one.name], other, formula, conditional=not whole
                )


def _behind(definition: ColumnDefinition, found: Mapping[str, ColumnDefinition]) -> set[str]:
    behind: set[str] = set()
    waiting = set(list_expression_columns(definition.expression))
    while waiting:
        name = waiting.pop()
        behind.add(name)
        if name in found:
            waiting |= list_expression_columns(found[name].expression) - behind
    return behind
