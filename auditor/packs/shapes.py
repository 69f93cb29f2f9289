"""The shape of a policy file: every setting that the contract names, and nothing else."""

import math
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from auditor.documents import Strict
from auditor.domain.budgets import Budget
from auditor.domain.policies import Effect, Mode, Severity

REFERENCE = re.compile(r"params\.([A-Za-z_]\w*)")
MEASURE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+/[a-z0-9_]+")
MOST_RULES = 2_000


def _limit(value: Any) -> float | str:  # noqa: ANN401 -- whatever the file says
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        return value
    raise PydanticCustomError("limit", "write a finite number, or params.NAME")


def _measure(value: Any) -> str:  # noqa: ANN401 -- whatever the file says
    if isinstance(value, str) and MEASURE.fullmatch(value):
        return value
    raise PydanticCustomError(
        "measure", "write a check and its metric, as in quality.accuracy/accuracy"
    )


def _unsupported(value: Any) -> None:  # noqa: ANN401 -- whatever the file says
    if value is not None:
        raise PydanticCustomError(
            "unsupported", "is not supported yet; write the rules out one by one"
        )


Limit: TypeAlias = Annotated[float | str, BeforeValidator(_limit)]
Unsupported: TypeAlias = Annotated[None, BeforeValidator(_unsupported)]
Text: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=2_000)]
Coordinate: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr
Name: TypeAlias = Annotated[
    StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", min_length=1, max_length=100)
]
Measure: TypeAlias = Annotated[str, BeforeValidator(_measure)]
Days: TypeAlias = Annotated[StrictStr, Field(pattern=r"^[1-9][0-9]{0,4}d$")]


class ControlShape(Strict):
    """One control of one framework."""

    framework: Text
    ref: Text


class RuleShape(Strict):
    """One rule."""

    id: Name
    title: Text
    severity: Severity
    effect: Effect = Effect.DENY
    measure: Measure
    where: dict[str, Coordinate] = Field(default_factory=dict)
    at_least: Limit | None = None
    at_most: Limit | None = None
    within: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = None
    require: Text | None = None
    when: Text | None = None
    accept: Literal["withstood"] | None = None
    controls: list[ControlShape] = Field(default_factory=list)
    rationale: Text | None = None
    remediation: Text | None = None
    for_each: Unsupported = None

    @property
    def check(self) -> str:
        """The id of the check that measures."""
        return self.measure.partition("/")[0]

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.measure.partition("/")[2]


class MetadataShape(Strict):
    """Who owns the policy, which version it is, and what it asks of the audit itself."""

    name: Name
    version: Text
    owner: Text
    description: Text | None = None
    least_budget: Budget = Budget.SMOKE
    least_assurance: Literal["A0", "A1", "A2", "A3"] = "A0"
    least_evidence: Literal["native"] = "native"
    valid_for: Days | None = None
    mode: Mode = Mode.ENFORCE
    applies_to: Text | None = None


class PolicyShape(Strict):
    """A policy file."""

    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["Policy"]
    metadata: MetadataShape
    params: dict[str, Any] = Field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rules: Annotated[list[RuleShape], Field(max_length=MOST_RULES)]
    extends: Unsupported = None
