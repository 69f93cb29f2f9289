"""The shape of a policy file: every setting that the contract names, and nothing else."""

import math
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from auditor.documents import Strict
from auditor.domain.bounds import MOST_TEXT
from auditor.domain.budgets import Budget
from auditor.domain.inheritance import Way
from auditor.domain.isolation import Isolation
from auditor.domain.pins import SETTINGS
from auditor.domain.policies import Effect, LeastEvidence, Mode, Severity
from auditor.packs.catalogues import Day, Verified
from auditor.packs.quantities import NUMBER, QUANTITY

ANCHORED = re.compile(
    r"(?:claims\.(?P<claim>[A-Za-z_]\w*)|baseline)"
    r"(?:\s*(?P<sign>[-+])\s*(?P<margin>[\d.p]\S*(?:\s\S+)?))?"
)
REFERENCE = re.compile(r"params\.([A-Za-z_]\w*)")
MEASURE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+/[a-z0-9_]+")
MOST_RULES = 2_000
MOST_PLACES = 5


def _limit(value: Any) -> float | str:  # noqa: ANN401 -- whatever the file says
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and _is_limit(value):
        return value
    raise PydanticCustomError(
        "limit",
        "write a finite number, one with its unit as in 100 ms, params.NAME, or claims.NAME with a "
        "margin as in claims.accuracy - 0.02, or baseline in its place",
    )


def _is_limit(text: str) -> bool:
    anchored = ANCHORED.fullmatch(text)
    if anchored is None:
        return bool(REFERENCE.fullmatch(text) or QUANTITY.fullmatch(text))
    margin = anchored["margin"]
    known = (NUMBER, QUANTITY, REFERENCE)
    return margin is None or any(form.fullmatch(margin) for form in known)


def _measure(value: Any) -> str:  # noqa: ANN401 -- whatever the file says
    if isinstance(value, str) and MEASURE.fullmatch(value):
        return value
    raise PydanticCustomError(
        "measure", "write a check and its metric, as in quality.accuracy/accuracy"
    )


def listed(value: Any) -> Any:  # noqa: ANN401 -- whatever the file says
    """Return one value as a list of it."""
    return [value] if isinstance(value, str) else value


Limit: TypeAlias = Annotated[float | str, BeforeValidator(_limit)]
ForEach: TypeAlias = Annotated[
    list[Annotated[StrictStr, Field(pattern=r"^[A-Za-z_]\w*$")]],
    Field(max_length=MOST_PLACES),
    BeforeValidator(listed),
]
Text: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=2_000)]
Version: TypeAlias = Annotated[StrictStr, Field(min_length=1)]
Written: TypeAlias = Annotated[StrictStr, Field(max_length=MOST_TEXT)]
Coordinate: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr
Name: TypeAlias = Annotated[
    StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", min_length=1, max_length=100)
]
Measure: TypeAlias = Annotated[str, BeforeValidator(_measure)]
Approvals: TypeAlias = Annotated[StrictInt, Field(ge=0, le=20)]
MostAttempts: TypeAlias = Annotated[StrictInt, Field(ge=1, le=1000)]
BlindLabels: TypeAlias = Annotated[StrictInt, Field(ge=0, le=50)]
Digest: TypeAlias = Annotated[StrictStr, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


def _setting(value: Any) -> str:  # noqa: ANN401 -- whatever the file says
    if value in SETTINGS:
        return str(value)
    raise PydanticCustomError("setting", f"a pinned setting is one of {', '.join(SETTINGS)}")


Setting: TypeAlias = Annotated[str, BeforeValidator(_setting)]
Days: TypeAlias = Annotated[StrictStr, Field(pattern=r"^[1-9][0-9]{0,4}d$")]


class ControlShape(Strict):
    """One control of one framework."""

    framework: Text
    ref: Text


class DutyShape(Strict):
    """What the policy cannot evidence of one control, and who must see to it."""

    framework: Text
    ref: Text
    asks: Text
    owner: Text


class LegalShape(Strict):
    """A fact of law that the policy rests on, and until when it may be relied on."""

    datum: Text
    value: Text
    source: Text
    verified: Verified
    review_by: Day


class ChangeShape(Strict):
    """One setting of a resolved policy that its parent has otherwise."""

    setting: Text
    was: Written
    now: Written
    way: Way
    by: StrictStr
    reason: Written


class OriginShape(Strict):
    """Where a rule of a resolved policy was first written."""

    policy: Name
    version: Version
    changes: list[ChangeShape]


class ParentShape(Strict):
    """A policy that a resolved one extends."""

    name: Name
    version: Version
    digest: Annotated[StrictStr, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    changes: list[ChangeShape]


class DroppedShape(Strict):
    """A rule of a parent that a resolved policy does not ask."""

    rule: Name
    title: Text
    policy: Name
    by: Name
    reason: Text


class RuleShape(Strict):
    """One rule. ``origin`` stands in resolved policies alone."""

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
    threshold: Text | None = None
    for_each: ForEach = Field(default_factory=list)
    loosens: Text | None = None
    origin: OriginShape | None = None

    @property
    def check(self) -> str:
        """The id of the check that measures."""
        return self.measure.partition("/")[0]

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.measure.partition("/")[2]


class PinsShape(Strict):
    """What the policy fixes of an audit: its evaluation data, and what its file declares."""

    evaluation: Annotated[list[Digest], Field(max_length=MOST_PLACES * 4)] = Field(
        default_factory=list
    )
    sets: Annotated[list[Text], Field(max_length=MOST_PLACES)] = Field(default_factory=list)
    least_rows: Annotated[StrictInt, Field(ge=0, le=10**9)] = 0
    settings: dict[Setting, Any] | None = None


class MetadataShape(Strict):
    """Who owns the policy, which version it is, and what it asks of the audit itself."""

    name: Name
    version: Version
    owner: Text
    description: Text | None = None
    least_budget: Budget = Budget.SMOKE
    least_assurance: Literal["A0", "A1", "A2", "A3"] = "A0"
    least_evidence: LeastEvidence = LeastEvidence.NATIVE
    least_isolation: Isolation | None = None
    valid_for: Days | None = None
    approvals: Approvals = 0
    blind_labels: BlindLabels = 0
    require_sealed: StrictBool = False
    most_attempts: MostAttempts | None = None
    pins: PinsShape = Field(default_factory=PinsShape)
    mode: Mode = Mode.ENFORCE
    applies_to: Text | None = None
    cannot_evidence: list[DutyShape] = Field(default_factory=list)
    legal: list[LegalShape] = Field(default_factory=list)
    loosens: Text | None = None


class PolicyShape(Strict):
    """A policy: as written, or resolved from those that it extends (``inherits``, ``dropped``)."""

    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["Policy"]
    metadata: MetadataShape
    params: dict[str, Any] = Field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rules: Annotated[list[RuleShape], Field(max_length=MOST_RULES)]
    inherits: list[ParentShape] = Field(default_factory=list)
    dropped: list[DroppedShape] = Field(default_factory=list)
