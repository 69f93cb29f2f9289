"""The feature schema of a model, and the validation of dataset rows against it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from auditor._yaml import Place, StrictModel, YamlDocument, read_yaml_document, validate_document
from auditor.domain.feature_relations import ColumnRelation, evaluate_formula, list_formula_columns
from auditor.domain.tasks import Array, FeatureDirection, FeatureKind, InputFeature
from auditor.domain.text_limits import MOST_TEXT
from auditor.errors import DatasetError
from auditor.inputs.datasets.feature_relations import FormulaError, parse_relation
from auditor.inputs.datasets.formats import InputFileBytes
from auditor.inputs.datasets.raw_dataset import RawDataset

LEAST_CATEGORIES = 2
Mistake = tuple[str, str]
"""What contradicts itself, and the cure."""


DRAFTED = "# Drafted from the columns of "
"""How a schema begins that `auditor init` wrote."""


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """The features in the order of the model's inputs, and the relations that rows keep.

    ``places`` say ``file:line`` of each feature. ``drafted`` tells that `auditor init` wrote the
    file, from the evaluation sample alone.
    """

    features: tuple[InputFeature, ...] = ()
    relations: tuple[ColumnRelation, ...] = ()
    places: tuple[str, ...] = ()
    drafted: bool = False


class FeatureSpec(StrictModel):
    """One feature as written."""

    name: str
    kind: FeatureKind = FeatureKind.NUMERIC
    range: tuple[float, float] | None = None
    categories: tuple[float, ...] = ()
    nullable: bool = False
    immutable: bool = False
    one_hot: str | None = None
    direction: FeatureDirection | None = None
    cost: float = 1.0

    def mistake(self) -> Mistake | None:
        """Return what contradicts itself in this feature and the cure, or ``None``."""
        return next(self._mistakes(), None)

    def _mistakes(self) -> Iterator[Mistake]:
        numeric = self.kind in {FeatureKind.NUMERIC, FeatureKind.INTEGER}
        if self.range is not None and not numeric:
            yield f"is {self.kind.value} and has a range", "Remove the range."
        if self.range is not None and not (_finite(self.range) and self.range[0] < self.range[1]):
            yield "has an empty range", "Write range: [low, high] with low below high."
        yield from self._code_mistakes()
        if self.one_hot is not None and self.kind is not FeatureKind.BINARY:
            yield f"is {self.kind.value} and in a one-hot group", "Set kind: binary."
        if self.direction is not None and self.immutable:
            yield "is immutable and has a direction", "Remove one of the two."
        if self.direction is not None and not numeric and self.kind is not FeatureKind.BINARY:
            yield "has codes, which no direction orders", "Remove the direction."
        if self.direction is not None and self.one_hot is not None:
            yield "is in a one-hot group and has a direction", "Remove the direction."
        if not (math.isfinite(self.cost) and self.cost > 0):
            yield "has a cost that is not above 0", "Write how dear its whole range is: cost: 2."

    def _code_mistakes(self) -> Iterator[Mistake]:
        if self.kind is not FeatureKind.CATEGORICAL:
            if self.categories:
                cure = "Remove the categories, or set kind: categorical."
                yield f"is {self.kind.value} and has categories", cure
            return
        distinct = len(set(self.categories))
        if distinct < LEAST_CATEGORIES or distinct < len(self.categories):
            cure = "List every code that the column may hold once: categories: [0, 1, 2]."
            yield "is categorical without two or more distinct categories", cure
        if not _finite(self.categories):
            yield "has a category that is not finite", "Fix it."

    def feature(self) -> InputFeature:
        """Return the domain's form."""
        low, high = self.range or (None, None)
        codes = tuple(sorted(self.categories))
        if self.kind is FeatureKind.BINARY:
            codes = (0.0, 1.0)
        if codes:
            low, high = codes[0], codes[-1]
        return InputFeature(
            self.name,
            self.kind,
            low,
            high,
            codes,
            nullable=self.nullable,
            immutable=self.immutable,
            one_hot=self.one_hot,
            direction=self.direction,
            cost=self.cost,
        )


class RelationSpec(StrictModel):
    """One relation as written: a formula alone, or with what it forgives."""

    formula: str = Field(max_length=MOST_TEXT)
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    holds: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _formula_alone(cls, value: object) -> object:
        return {"formula": value} if isinstance(value, str) else value


class FeatureSchemaSpec(StrictModel):
    """A whole schema file."""

    features: tuple[FeatureSpec, ...] = Field(min_length=1)
    relations: tuple[RelationSpec, ...] = ()


def read_schema(file: InputFileBytes) -> FeatureSchema:
    """Read ``schema.yaml``; the order of its features is the order of the model's inputs.

    Raises ``DatasetError`` with file, line and cure.
    """
    document = read_yaml_document(file.raw, file.path, DatasetError)
    shape = validate_document(document, FeatureSchemaSpec, DatasetError)
    seen: set[str] = set()
    for index, feature in enumerate(shape.features):
        place: Place = ("features", index)
        if feature.name in seen:
            raise _error(document, place, feature, ("stands twice", "Keep one of the two."))
        mistake = feature.mistake() or _group_mistake(feature, shape.features)
        if mistake is not None:
            raise _error(document, place, feature, mistake)
        seen.add(feature.name)
    features = tuple(feature.feature() for feature in shape.features)
    places = tuple(document.where(("features", index)) for index in range(len(features)))
    drafted = file.raw.startswith(DRAFTED.encode())
    return FeatureSchema(features, tuple(_relations(document, shape)), places, drafted)


def _relations(document: YamlDocument, shape: FeatureSchemaSpec) -> Iterator[ColumnRelation]:
    names = [feature.name for feature in shape.features]
    for index, written in enumerate(shape.relations):
        try:
            formula = parse_relation(written.formula, names, written.tolerance)
        except FormulaError as mistake:
            where = document.where(("relations", index))
            raise DatasetError(
                f"{where}: relation `{written.formula[:80]}` {mistake.problem}", cure=mistake.cure
            ) from None
        yield ColumnRelation(written.formula, formula, written.holds)


def _group_mistake(feature: FeatureSpec, features: Sequence[FeatureSpec]) -> Mistake | None:
    if feature.one_hot is None:
        return None
    group = [item for item in features if item.one_hot == feature.one_hot]
    if len(group) < LEAST_CATEGORIES:
        cure = "Put every column of the choice into the group, or remove one_hot."
        return f"is alone in the one-hot group {feature.one_hot!r}", cure
    if len({(item.immutable, item.cost) for item in group}) > 1:
        cure = "Give all columns of the group the same: they move together."
        return f"differs in immutable or cost from its one-hot group {feature.one_hot!r}", cure
    return None


def _error(
    document: YamlDocument, place: Place, feature: FeatureSpec, mistake: Mistake
) -> DatasetError:
    problem, cure = mistake
    return DatasetError(f"{document.where(place)}: feature {feature.name!r} {problem}", cure=cure)


def _finite(values: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) for value in values)


def refuse_broken_relations(source: RawDataset, inputs: Array, schema: FeatureSchema) -> None:
    """Raise ``DatasetError`` where rows of ``[n, features]`` break more than ``holds`` leaves them.

    It names the relation, the first row that breaks it with its values, and how many do.
    """
    rows = inputs.astype(np.float64)
    columns = {feature.name: rows[:, index] for index, feature in enumerate(schema.features)}
    for group in dict.fromkeys(feature.one_hot for feature in schema.features):
        if group is not None:
            _refuse_group(source, rows, schema, group)
    for relation in schema.relations:
        broken = np.flatnonzero(~evaluate_formula(relation.formula, columns))
        if broken.size > math.floor((1 - relation.holds) * len(rows) + 1e-9):
            row = int(broken[0])
            values = ", ".join(
                f"{name} {columns[name][row]:g}"
                for name in sorted(list_formula_columns(relation.formula))
            )
            share = math.floor(1000 * (1 - broken.size / len(rows))) / 1000
            raise DatasetError(
                f"{source.name}: {source.row(row)} ({values}) breaks the relation "
                f"`{relation.text}`{_count(broken)}",
                cure=f"Fix the rows or the relation; or give it a tolerance, or holds: {share:g}, "
                "in the schema.",
            )


def _refuse_group(
    source: RawDataset, rows: NDArray[np.float64], schema: FeatureSchema, group: str
) -> None:
    members = [index for index, item in enumerate(schema.features) if item.one_hot == group]
    total = rows[:, members].sum(axis=1)
    wrong = np.flatnonzero((total != 1) & ~np.isnan(total))
    if wrong.size:
        row = int(wrong[0])
        raise DatasetError(
            f"{source.name}: {source.row(row)} has {total[row]:g} ones in the one-hot group "
            f"{group!r}{_count(wrong)}",
            cure="Give exactly one of its columns a 1, adding a column for what is none of them, "
            "or remove one_hot from the schema.",
        )


def _count(rows: NDArray[np.int64]) -> str:
    return f"; so do {rows.size - 1:,} other rows" if rows.size > 1 else ""
