"""Schema of a policy test file."""

import math
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from auditor._yaml import StrictModel
from auditor.domain.budgets import Budget
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.isolation import IsolationLevel
from auditor.domain.readings import BiasDirection, BoundKind, GapReason, Unit
from auditor.domain.targets import EvidenceLevel
from auditor.policy.schema import Coordinate, Measure, Text

CHECK = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
MOST_CASES = 1_000
OF_GAPS = frozenset({"reason", "detail", "cure", "metric"})
OF_BOTH = frozenset({"measure", "gap", "target", "params"})


def _number(value: Any) -> Any:  # noqa: ANN401 -- whatever the file says
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value


def _figure(value: Any) -> bool | float | str | None:  # noqa: ANN401 -- whatever the file says
    """Read a figure; a union would take 1 for true."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise PydanticCustomError("figure", "write a finite number, true or false, a text, or null")


Number: TypeAlias = Annotated[
    float, Field(strict=True, allow_inf_nan=False), BeforeValidator(_number)
]
Figure: TypeAlias = Annotated[bool | float | str | None, PlainValidator(_figure)]
CheckId: TypeAlias = Annotated[StrictStr, Field(pattern=f"^{CHECK.pattern}$")]
Moment: TypeAlias = Annotated[
    StrictStr, Field(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$")
]
Targets: TypeAlias = Annotated[list[Text], Field(min_length=1, max_length=100)]


class CaseModelSchema(StrictModel):
    """What a case says of the model."""

    name: Text | None = None
    version: Text | None = None
    tags: list[Text] | None = None


class CaseSettingsSchema(StrictModel):
    """What judging knows besides the readings; what a case leaves out the defaults say."""

    model: CaseModelSchema = Field(default_factory=CaseModelSchema)
    claims: dict[str, Any] | None = None
    targets: Targets | None = None
    served: Targets | None = None
    task: Literal["classification", "regression"] | None = None
    predictions_only: StrictBool | None = None
    budget: Budget | None = None
    assurance: Literal["A0", "A1", "A2", "A3"] | None = None
    evidence: EvidenceLevel | dict[Text, EvidenceLevel] | None = None
    isolation: IsolationLevel | dict[Text, IsolationLevel] | None = None
    now: Text | None = None


class CaseReadingSchema(StrictModel):
    """One reading: a measurement (``measure``) or a gap (``gap``)."""

    measure: Measure | None = None
    gap: CheckId | None = None
    target: Text | None = None
    params: dict[str, Coordinate] = Field(default_factory=dict)
    slice: dict[str, StrictStr] = Field(default_factory=dict)
    value: Figure = None
    low: Number | None = None
    high: Number | None = None
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    n: Annotated[StrictInt, Field(ge=0)] = 1_000
    unit: Unit | None = None
    bound: BoundKind | None = None
    method: Text = "given"
    doubted: StrictBool = False
    astray: BiasDirection | None = None
    worst_case: Number | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    reason: GapReason | None = None
    detail: Text = "The case says that it is missing."
    cure: Text = "Measure it."
    metric: Text | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> "CaseReadingSchema":
        if (self.measure is None) == (self.gap is None):
            raise PydanticCustomError("reading", "a reading has either `measure` or `gap`")
        written = self.model_fields_set
        if self.measure is not None:
            _refuse(written & OF_GAPS, "a gap")
            if "value" not in written:
                raise PydanticCustomError("reading", "a measurement has a `value`, or null")
            ends = [end for end in (self.low, self.value, self.high) if end is not None]
            numbers = [end for end in ends if isinstance(end, float)]
            if len(ends) > 1 and (len(numbers) != len(ends) or numbers != sorted(numbers)):
                raise PydanticCustomError(
                    "reading", "low, value and high are numbers in that order"
                )
        else:
            _refuse(written - OF_GAPS - OF_BOTH, "a measurement")
            if self.reason is None:
                raise PydanticCustomError("reading", "a gap has a `reason`")
        return self


class CaseWaiverSchema(StrictModel):
    """Leave of one rule, as a signed waiver gives it; days or times, as texts."""

    rule: Text
    target: Text | None = None
    slice: dict[str, Coordinate] = Field(default_factory=dict)
    owner: Text
    approver: Text
    reason: Text
    ticket: Text
    created: Moment = ""
    expires: Moment
    compensating: list[Text] = Field(default_factory=list)


class CaseExpectationSchema(StrictModel):
    """What shall come of a case: the verdict, or the outcomes of rules, or both."""

    verdict: Verdict | None = None
    outcomes: dict[str, Outcome] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> "CaseExpectationSchema":
        if self.verdict is None and not self.outcomes:
            raise PydanticCustomError("expect", "expect a `verdict` or `outcomes`")
        return self


class PolicyTestCaseSchema(CaseSettingsSchema):
    """One case: readings, those of a baseline if any, and what the policy shall make of them."""

    name: Text
    use: list[StrictStr] = Field(default_factory=list)
    readings: list[CaseReadingSchema] = Field(default_factory=list)
    remove: list[StrictStr] = Field(default_factory=list)
    baseline: list[CaseReadingSchema] | None = None
    waivers: list[CaseWaiverSchema] = Field(default_factory=list)
    expect: CaseExpectationSchema


class PolicyTestFileSchema(StrictModel):
    """A file of policy tests."""

    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["PolicyTest"]
    policy: Text
    defaults: CaseSettingsSchema = Field(default_factory=CaseSettingsSchema)
    readings: dict[str, list[CaseReadingSchema]] = Field(default_factory=dict)
    cases: Annotated[list[PolicyTestCaseSchema], Field(min_length=1, max_length=MOST_CASES)]


def _refuse(foreign: set[str] | frozenset[str], whose: str) -> None:
    if foreign:
        named = ", ".join(sorted(foreign))
        raise PydanticCustomError(
            "reading", "only {whose} has {named}", {"whose": whose, "named": named}
        )
