"""Schema of the audit file: its sections, settings and strict value types."""

import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from auditor._yaml import StrictModel
from auditor.domain.auditfiles import (
    DataSection,
    RecipeSection,
    ShadowsSection,
    TaskSection,
)
from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.export_origin import ExportDifference, ExportOrigin
from auditor.domain.tasks import ScoreKind
from auditor.domain.text_limits import MOST_PATH, MOST_TEXT

T = TypeVar("T")
UNSANDBOXED = "unsandboxed"
"""The leave to run code also where nothing keeps it from the user's files."""
LARGEST_WHOLE = 2**53 - 1
LARGEST_NUMBER = sys.float_info.max
PLACEHOLDER = re.compile(
    r"(todo|tbd|tba|fixme|xxx)\b.*|\.{2,}|…|\?+|<[^<>]*>", re.IGNORECASE | re.DOTALL
)
"""What stands where a text is still to be written."""

EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
"""A number that YAML 1.1 takes for a text where it has no dot, or its exponent no sign."""


def _refuse(reason: str) -> PydanticCustomError:
    # The reason goes in as a value, so that braces in it are not read as a template.
    return PydanticCustomError("audit_file", "{reason}", {"reason": reason})


def _shown(value: object) -> str:
    named = {None: "null", True: "true", False: "false"}
    return named[value] if value is None or isinstance(value, bool) else repr(value)


def _text(value: object) -> object:
    if isinstance(value, bool | int | float):
        raise _refuse(f"{_shown(value)} is not text; write it in quotes")
    if not isinstance(value, str):
        raise _refuse("expected text")
    if not value.strip():
        raise _refuse("is empty; write a text, or null")
    if not value.isprintable():
        raise _refuse("holds characters that cannot be printed; write it without them")
    return value


def _prose(value: object) -> object:
    if isinstance(value, str) and value.strip():
        value = "\n".join(line.rstrip() for line in value.strip().splitlines())
        for line in value.splitlines():
            if line:
                _text(line)
        if PLACEHOLDER.fullmatch(value):
            raise _refuse(
                f"{value[:40]!r} is a placeholder; write the text, or remove it, and the report "
                "lists it as missing"
            )
        return value
    return _text(value)


def _paragraphs(value: object) -> object:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else _listed(value)


def _label(value: object) -> object:
    if isinstance(value, bool):
        raise _refuse(f"YAML reads this as {_shown(value)}; write the label in quotes")
    if isinstance(value, float):
        raise _refuse(f"{_shown(value)} is not text; write the label in quotes")
    return _text(str(value) if isinstance(value, int) else value)


def _path(value: object) -> object:
    text = _text(value)
    if "://" in str(text):
        raise _refuse(f"the URL {text!r} is not supported yet; write the path of a local file")
    return text


def _paths(value: object) -> object:
    return tuple(_path(item) for item in value) if isinstance(value, list | tuple) else _path(value)


def _number(value: object) -> object:
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(f"{_shown(value)} is not a number; write one without quotes")
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise _refuse(f"{_shown(value)} is not finite; write an ordinary number")
    return float(value)


def _minutes(value: object) -> object:
    found = None if value is None else _number(value)
    if isinstance(found, float) and found <= 0:
        raise _refuse(f"{_shown(value)} is not above 0; leave it out for the time of the budget")
    return found


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(f"{_shown(value)} is not a whole number; write one without quotes")
    if not 0 <= value <= LARGEST_WHOLE:
        raise _refuse(f"{value} is not within 0 and 2^53 - 1; choose another")
    return value


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise _refuse(
            f"{_shown(value)} is neither true nor false; write one of them without quotes"
        )
    return value


def _leave(value: object) -> object:
    if value == UNSANDBOXED:
        return value
    if not isinstance(value, bool):
        raise _refuse(
            f"{_shown(value)} is none of true, false and {UNSANDBOXED}; write one of them"
        )
    return value


def _unsupported(value: object) -> object:
    if value is not None:
        raise _refuse("is not supported yet; remove it")
    return value


def _names(value: object) -> object:
    return () if value is None else _listed(value)


def _listed(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise _refuse(f"{_shown(value)} is not a list; write it in square brackets")
    return value


def _mapped(value: object) -> object:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _refuse(f"{_shown(value)} is not a mapping; write `key: value` settings")
    return value


def _costs(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            label: {decision: _cost(cost, label, decision) for decision, cost in row.items()}
            for label, row in ((name, _mapped(item)) for name, item in value.items())
            if isinstance(row, Mapping)
        }
    if isinstance(value, list | tuple) and all(isinstance(row, list | tuple) for row in value):
        return tuple(
            tuple(_cost(cost, index, column) for column, cost in enumerate(row))
            for index, row in enumerate(value)
        )
    if value is not None:
        raise _refuse("is neither {label: {decision: cost}} nor a list of rows; write one of them")
    return value


def _cost(value: object, label: object, decision: object) -> object:
    try:
        return _number(value)
    except PydanticCustomError as mistake:
        raise _refuse(f"{label}, {decision}: {mistake.message()}") from None


class SectionSchema(StrictModel):
    """A part of an audit file; one whose settings are all commented out counts as absent."""

    @model_validator(mode="before")
    @classmethod
    def _settings(cls, value: object) -> object:
        return _mapped(value)

    def make(self, kind: type[T], **given: object) -> T:
        """Return the domain's form, which has fields of the same names, and those ``given``."""
        return kind(**dict(self) | given)


Text = Annotated[str, BeforeValidator(_text)]
Prose = Annotated[str, Field(max_length=MOST_TEXT), BeforeValidator(_prose)]
"""A text of one line or several."""
Paragraphs = Annotated[tuple[Prose, ...], BeforeValidator(_paragraphs)]
"""A text, or a list of texts."""
Label = Annotated[str, BeforeValidator(_label)]
Labels = Annotated[tuple[Label, ...], BeforeValidator(_listed)]
LocalPath = Annotated[str, Field(max_length=MOST_PATH), BeforeValidator(_path)]
Paths = Annotated[tuple[LocalPath, ...] | LocalPath, BeforeValidator(_paths)]
LocalPaths = Annotated[tuple[LocalPath, ...], BeforeValidator(_listed)]
OptionalPaths = Annotated[tuple[LocalPath, ...], BeforeValidator(_names)]
Number = Annotated[float, BeforeValidator(_number)]
Minutes = Annotated[float | None, BeforeValidator(_minutes)]
Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Leave = Annotated[bool | Literal["unsandboxed"], BeforeValidator(_leave)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_names)]
Entries = Annotated[tuple[Any, ...], BeforeValidator(_listed)]
Entry = str | dict[str, Any] | None
Range = Annotated[tuple[Number, Number], BeforeValidator(_listed)]
Settings = Annotated[dict[str, Any], BeforeValidator(_mapped)]
TaskKind = Literal["classification", "regression"]
Costs = Annotated[
    dict[str, dict[str, float]] | tuple[tuple[float, ...], ...] | None, BeforeValidator(_costs)
]
Unsupported = Annotated[None, BeforeValidator(_unsupported)]


class ExportDifferenceSchema(SectionSchema):
    """How the owner says that an export compares with its original."""

    of: Literal["probabilities", "scores", "values"]
    rows: Annotated[Whole, Field(ge=1)]
    largest: Annotated[Number, Field(ge=0.0)]
    equal: Whole | None = None

    @model_validator(mode="after")
    def _counts_rows(self) -> Self:
        if self.equal is not None and self.equal > self.rows:
            raise _refuse(f"equal is {self.equal} of {self.rows} rows; write at most that many")
        return self


class ExportOriginSchema(SectionSchema):
    """The ``exported`` section of a model: what the owner says that its file was made from."""

    original: Text
    library: Text
    library_version: Text
    exporter: Text
    exporter_version: Text
    opsets: dict[Text, Whole]
    difference: ExportDifferenceSchema

    def section(self) -> ExportOrigin:
        """Return the domain's form."""
        said = self.model_dump()
        return ExportOrigin(**said | {"difference": ExportDifference(**said["difference"])})


class ModelSectionSchema(SectionSchema):
    """The ``model`` section."""

    name: Text
    version: Text = "0"
    artifact: LocalPath | None = None
    signature: LocalPath | None = None
    key: LocalPath | None = None
    trust: LocalPath | None = None
    twin: LocalPath = "auto"
    parent: LocalPath | None = None
    documents: LocalPaths | None = None
    tags: Names = ()
    exported: ExportOriginSchema | None = None


class PipelineSectionSchema(SectionSchema):
    """The ``pipeline`` section, of which nothing is built yet."""

    pre: Unsupported = None
    post: Unsupported = None


class TaskSectionSchema(SectionSchema):
    """The ``task`` section."""

    kind: TaskKind = "classification"
    classes: Labels | None = None
    output: ScoreKind = ScoreKind.AUTO
    positive: Label | None = None
    favourable: Label | None = None
    threshold: Number = 0.5
    costs: Costs = None
    reject: Label | None = None
    tolerance: Number | None = None

    def section(self) -> TaskSection:
        """Return the domain's form: a matrix of costs by the names of its classes."""
        costs = self.costs
        if isinstance(costs, tuple):
            names = self.classes or ()
            costs = {
                label: dict(zip(names, row, strict=True))
                for label, row in zip(names, costs, strict=True)
            }
        return self.make(TaskSection, costs=costs)


class InputSectionSchema(SectionSchema):
    """The ``input`` section."""

    domain: Range | None = None
    quantum: Number | None = None
    features: LocalPath | None = None
    text: Text | None = None


class DatasetSectionSchema(SectionSchema):
    """One dataset of the ``data`` section."""

    path: LocalPath
    labels: Text | None = None
    id: Text | None = None
    groups: Names = ()
    slices: Names = ()
    cluster: Text | None = None
    scores: Names = ()
    predictions: Text | None = None
    time: Text | None = None
    as_of: Text | None = None


class DataSectionSchema(SectionSchema):
    """The ``data`` section: one dataset a role."""

    evaluation: DatasetSectionSchema | None = None
    training: DatasetSectionSchema | None = None
    reference: DatasetSectionSchema | None = None
    production: DatasetSectionSchema | None = None

    def sections(self) -> dict[DatasetRole, DataSection]:
        """Return the domain's form of the datasets that are there."""
        shapes = {role: getattr(self, role.value) for role in DatasetRole}
        return {role: it.make(DataSection) for role, it in shapes.items() if it is not None}


class RecipeSectionSchema(SectionSchema):
    """The ``recipe`` section: code that trains, run only where ``allow`` gives leave."""

    path: LocalPath
    function: Text = "train"
    dp_train: Text | None = None
    allow: Leave = False
    time_limit: Number = 600.0
    memory_limit: Whole = 8 * 2**30

    def section(self) -> RecipeSection:
        """Return the domain's form."""
        unsandboxed = self.allow == UNSANDBOXED
        return self.make(RecipeSection, allow=bool(self.allow), unsandboxed=unsandboxed)


class ShadowsSectionSchema(SectionSchema):
    """The ``shadows`` section: models trained as this one, and which rows each learnt from."""

    models: Paths
    inclusion: LocalPath
    rows: Names = ("training",)

    def section(self) -> ShadowsSection:
        """Return the domain's form. Raises ``ValueError`` for what is no role of a dataset."""
        return self.make(ShadowsSection, rows=tuple(DatasetRole(name) for name in self.rows))


class GeneratorSectionSchema(SectionSchema):
    """The ``generator`` section: a model from latent points to rows."""

    path: LocalPath


class AuditFileSchema(SectionSchema):
    """A whole audit file."""

    api_version: Literal["auditor/v1"] = Field(alias="apiVersion")
    kind: Literal["Audit"]
    model: ModelSectionSchema
    pipeline: PipelineSectionSchema | None = None
    task: TaskSectionSchema = TaskSectionSchema()
    input: InputSectionSchema = InputSectionSchema()
    targets: Entries = ("cpu",)
    reference: Entry = None
    data: DataSectionSchema = DataSectionSchema()
    recipe: RecipeSectionSchema | None = None
    shadows: ShadowsSectionSchema | None = None
    generator: GeneratorSectionSchema | None = None
    claims: Settings = Field(default_factory=dict)
    population: Settings = Field(default_factory=dict)
    policy: Text = "baseline"
    budget: Budget = Budget.CI
    max_minutes: Minutes = None
    seed: Whole = 7
    show_examples: Flag = False
    disclosure: DisclosureMode | None = None
    system: LocalPath | None = None
    risks: LocalPath | None = None
    waivers: OptionalPaths = ()
    waiver_keys: OptionalPaths = ()
    baseline: LocalPath | None = None
    baseline_key: LocalPath | None = None
