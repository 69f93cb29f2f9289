"""The feature schema: which columns a model takes, in which order, and what they may hold."""

import math
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from auditor.datasets.files import ReadFile
from auditor.documents import Document, Place, Strict, read_document, validate
from auditor.domain.tasks import Feature, FeatureKind
from auditor.errors import DatasetError

LEAST_CATEGORIES = 2


def _unsupported(value: object) -> object:
    if value is not None:
        message = "is not supported yet; remove it"
        raise PydanticCustomError("schema", "{reason}", {"reason": message})
    return value


Unsupported = Annotated[None, BeforeValidator(_unsupported)]


class FeatureShape(Strict):
    """One feature as written."""

    name: str
    kind: FeatureKind = FeatureKind.NUMERIC
    range: tuple[float, float] | None = None
    categories: tuple[float, ...] = ()
    nullable: bool = False
    immutable: bool = False
    one_hot: Unsupported = None
    relations: Unsupported = None

    def mistake(self) -> tuple[str, str] | None:
        """Return what contradicts itself in this feature and the cure, or ``None``."""
        numeric = self.kind in {FeatureKind.NUMERIC, FeatureKind.INTEGER}
        if self.range is not None and not numeric:
            return f"is {self.kind.value} and has a range", "Remove the range."
        if self.range is not None and not (_finite(self.range) and self.range[0] < self.range[1]):
            return "has an empty range", "Write range: [low, high] with low below high."
        if self.kind is not FeatureKind.CATEGORICAL:
            cure = "Remove the categories, or set kind: categorical."
            return (f"is {self.kind.value} and has categories", cure) if self.categories else None
        distinct = len(set(self.categories))
        if distinct < LEAST_CATEGORIES or distinct < len(self.categories):
            cure = "List every code that the column may hold once: categories: [0, 1, 2]."
            return "is categorical without two or more distinct categories", cure
        return (
            None if _finite(self.categories) else ("has a category that is not finite", "Mend it.")
        )

    def feature(self) -> Feature:
        """Return the domain's form."""
        low, high = self.range or (None, None)
        codes = tuple(sorted(self.categories))
        if self.kind is FeatureKind.BINARY:
            codes = (0.0, 1.0)
        if codes:
            low, high = codes[0], codes[-1]
        return Feature(
            self.name, self.kind, low, high, codes, nullable=self.nullable, immutable=self.immutable
        )


class SchemaShape(Strict):
    """A whole schema file."""

    features: tuple[FeatureShape, ...] = Field(min_length=1)
    relations: Unsupported = None


def read_schema(file: ReadFile) -> tuple[Feature, ...]:
    """Read ``schema.yaml``; the order of its features is the order of the model's inputs.

    Raises ``DatasetError`` with file, line and cure.
    """
    document = read_document(file.raw, file.path, DatasetError)
    shape = validate(document, SchemaShape, DatasetError)
    seen: set[str] = set()
    for index, feature in enumerate(shape.features):
        place: Place = ("features", index)
        if feature.name in seen:
            raise _error(document, place, feature, ("stands twice", "Keep one of the two."))
        mistake = feature.mistake()
        if mistake is not None:
            raise _error(document, place, feature, mistake)
        seen.add(feature.name)
    return tuple(feature.feature() for feature in shape.features)


def _error(
    document: Document, place: Place, feature: FeatureShape, mistake: tuple[str, str]
) -> DatasetError:
    problem, cure = mistake
    return DatasetError(f"{document.where(place)}: feature {feature.name!r} {problem}", cure=cure)


def _finite(values: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) for value in values)
