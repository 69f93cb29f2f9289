"""Schema of a policy file, including quantities with units such as ``100 ms`` or ``5 %``.

Unknown settings are rejected.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from auditor._yaml import StrictModel
from auditor.domain.budgets import Budget
from auditor.domain.digests import DIGEST_PATTERN
from auditor.domain.isolation import IsolationLevel
from auditor.domain.pinned_settings import SETTINGS
from auditor.domain.policies import (
    EnforcementMode,
    MinimumEvidence,
    RuleEffect,
    Severity,
    StrictnessChange,
)
from auditor.domain.readings import Unit
from auditor.domain.text_limits import MOST_TEXT
from auditor.errors import PolicyError
from auditor.policy.control_catalogues import Day, Verified

NUMBER = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?")
QUANTITY = re.compile(
    rf"(?P<number>{NUMBER.pattern})"
    r"(?:\s*(?P<unit>[%/A-Za-zµ]\S{0,9})|\s+(?P<rate>1/\S{1,8}))"
)

UNITS: Mapping[Unit, Mapping[str, Decimal]] = MappingProxyType(
    {
        Unit.SHARE: {"share": Decimal(1), "%": Decimal("0.01")},
        Unit.SECOND: {
            "s": Decimal(1),
            "ms": Decimal("0.001"),
            "us": Decimal("0.000001"),
            "µs": Decimal("0.000001"),
            "ns": Decimal("0.000000001"),
            "min": Decimal(60),
            "h": Decimal(3600),
        },
        Unit.BYTE: {
            "B": Decimal(1),
            "kB": Decimal(10**3),
            "MB": Decimal(10**6),
            "GB": Decimal(10**9),
            "TB": Decimal(10**12),
            "KiB": Decimal(2**10),
            "MiB": Decimal(2**20),
            "GiB": Decimal(2**30),
            "TiB": Decimal(2**40),
        },
        Unit.PER_SECOND: {
            "1/s": Decimal(1),
            "/s": Decimal(1),
            "1/ms": Decimal(1000),
            "1/min": 1 / Decimal(60),
            "1/h": 1 / Decimal(3600),
        },
        Unit.NAT: {"nat": Decimal(1), "bit": Decimal(math.log(2))},
        Unit.COUNT: {},
        Unit.NONE: {},
    }
)
"""What one of each unit is in the unit of a metric; binary prefixes are written as such."""


def convert_to_unit(text: str, unit: Unit, metric: str) -> float:
    """Return a number with its unit in the unit of a metric.

    Raises ``PolicyError`` for a unit in which the metric is not measured.
    """
    found = QUANTITY.fullmatch(text)
    written = "" if found is None else found["unit"] or found["rate"]
    known = UNITS[unit]
    if found is None or written not in known:
        named = unit.value if known else "no unit"
        raise PolicyError(
            f"{text!r} does not fit {metric}, which is measured in {named}",
            cure=f"Write it in {', '.join(known)}." if known else "Write the number alone.",
        )
    value = float(Decimal(found["number"]) * known[written])
    if not math.isfinite(value):
        raise PolicyError(f"{text!r} is not finite", cure="Write a number of ordinary size.")
    return value


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


def wrap_in_list(value: Any) -> Any:  # noqa: ANN401 -- whatever the file says
    """Return one value as a list of it."""
    return [value] if isinstance(value, str) else value


Limit: TypeAlias = Annotated[float | str, BeforeValidator(_limit)]
ForEach: TypeAlias = Annotated[
    list[Annotated[StrictStr, Field(pattern=r"^[A-Za-z_]\w*$")]],
    Field(max_length=MOST_PLACES),
    BeforeValidator(wrap_in_list),
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
DigestText: TypeAlias = Annotated[StrictStr, Field(pattern=f"^{DIGEST_PATTERN}$")]


def _setting(value: Any) -> str:  # noqa: ANN401 -- whatever the file says
    if value in SETTINGS:
        return str(value)
    raise PydanticCustomError("setting", f"a pinned setting is one of {', '.join(SETTINGS)}")


Setting: TypeAlias = Annotated[str, BeforeValidator(_setting)]
Days: TypeAlias = Annotated[StrictStr, Field(pattern=r"^[1-9][0-9]{0,4}d$")]


class ControlSchema(StrictModel):
    """One control of one framework."""

    framework: Text
    ref: Text


class DutySchema(StrictModel):
    """What the policy cannot evidence of one control, and who must see to it."""

    framework: Text
    ref: Text
    asks: Text
    owner: Text


class LegalBasisSchema(StrictModel):
    """A fact of law that the policy rests on, and until when it may be relied on."""

    datum: Text
    value: Text
    source: Text
    verified: Verified
    review_by: Day


class SettingChangeSchema(StrictModel):
    """One setting of a resolved policy that its parent has otherwise."""

    setting: Text
    was: Written
    now: Written
    way: StrictnessChange
    by: StrictStr
    reason: Written


class RuleOriginSchema(StrictModel):
    """Where a rule of a resolved policy was first written."""

    policy: Name
    version: Version
    changes: list[SettingChangeSchema]


class ParentPolicySchema(StrictModel):
    """A policy that a resolved one extends."""

    name: Name
    version: Version
    digest: DigestText
    changes: list[SettingChangeSchema]


class DroppedRuleSchema(StrictModel):
    """A rule of a parent that a resolved policy does not ask."""

    rule: Name
    title: Text
    policy: Name
    by: Name
    reason: Text


class RuleSchema(StrictModel):
    """One rule. ``origin`` stands in resolved policies alone."""

    id: Name
    title: Text | None = None
    severity: Severity
    effect: RuleEffect = RuleEffect.DENY
    measure: Measure
    where: dict[str, Coordinate] = Field(default_factory=dict)
    at_least: Limit | None = None
    at_most: Limit | None = None
    within: Annotated[list[Limit], Field(min_length=2, max_length=2)] | None = None
    require: Text | None = None
    when: Text | None = None
    accept: Literal["withstood"] | None = None
    controls: list[ControlSchema] = Field(default_factory=list)
    rationale: Text | None = None
    remediation: Text | None = None
    threshold: Text | None = None
    for_each: ForEach = Field(default_factory=list)
    loosens: Text | None = None
    origin: RuleOriginSchema | None = None

    @property
    def check(self) -> str:
        """The id of the check that measures."""
        return self.measure.partition("/")[0]

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.measure.partition("/")[2]


class PinsSchema(StrictModel):
    """What the policy fixes of an audit: its evaluation data, and what its file declares."""

    evaluation: Annotated[list[DigestText], Field(max_length=MOST_PLACES * 4)] = Field(
        default_factory=list
    )
    sets: Annotated[list[Text], Field(max_length=MOST_PLACES)] = Field(default_factory=list)
    least_rows: Annotated[StrictInt, Field(ge=0, le=10**9)] = 0
    settings: dict[Setting, Any] | None = None


class PolicyMetadataSchema(StrictModel):
    """Who owns the policy, which version it is, and what it asks of the audit itself."""

    name: Name
    version: Version
    owner: Text
    description: Text | None = None
    least_budget: Budget = Budget.SMOKE
    least_assurance: Literal["A0", "A1", "A2", "A3"] = "A0"
    least_evidence: MinimumEvidence = MinimumEvidence.NATIVE
    least_isolation: IsolationLevel | None = None
    valid_for: Days | None = None
    approvals: Approvals = 0
    blind_labels: BlindLabels = 0
    require_sealed: StrictBool = False
    most_attempts: MostAttempts | None = None
    pins: PinsSchema = Field(default_factory=PinsSchema)
    mode: EnforcementMode = EnforcementMode.ENFORCE
    applies_to: Text | None = None
    cannot_evidence: list[DutySchema] = Field(default_factory=list)
    legal: list[LegalBasisSchema] = Field(default_factory=list)
    loosens: Text | None = None


class PolicySchema(StrictModel):
    """A policy: as written, or resolved from those that it extends (``inherits``, ``dropped``)."""

    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["Policy"]
    metadata: PolicyMetadataSchema
    params: dict[str, Any] = Field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rules: Annotated[list[RuleSchema], Field(max_length=MOST_RULES)]
    inherits: list[ParentPolicySchema] = Field(default_factory=list)
    dropped: list[DroppedRuleSchema] = Field(default_factory=list)
