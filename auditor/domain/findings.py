"""Findings, the outcomes of rules, and the verdict derived from them."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.json import Json, OmitUnset, write_fields
from auditor.domain.policies import FrameworkControl, RuleEffect, Severity
from auditor.domain.readings import Scalar


class Outcome(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    WITHSTOOD = "withstood"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"


KEPT = frozenset({Outcome.PASSED, Outcome.WITHSTOOD})
ACCEPTABLE = KEPT | {Outcome.WAIVED}


class Verdict(StrEnum):
    """The fold of the findings of denying rules."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Verdict":
        """Fold outcomes: one failure fails; silence, doubt, or nothing at all is inconclusive.

        ``WITHSTOOD`` reaches a finding only where its rule accepts that, so it counts as kept.
        """
        seen = frozenset(outcomes) - {Outcome.NOT_APPLICABLE}
        if Outcome.FAILED in seen:
            return cls.FAIL
        return cls.PASS if seen and seen <= ACCEPTABLE else cls.INCONCLUSIVE


EXACT = 2**53
AMBIGUOUS = re.compile(r"""^$|^[-+.\d]|^(?:true|false|nan|inf)|[\s,=\[\]"\\]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found on one target, or at one place of those it is asked for each of.

    ``readings`` are indices into the record's readings, the deciding one first. ``slice`` holds
    the coordinates of that place; empty, the rule is asked of the target as a whole.
    ``would_decide`` says what would turn an unknown into an answer, as ``{"rows": 1200}``;
    ``waiver`` is the digest of the waiver by which it is waived.
    """

    rule: str
    title: str
    target: str
    measure: str
    outcome: Outcome
    effect: RuleEffect
    severity: Severity
    readings: tuple[int, ...]
    controls: tuple[FrameworkControl, ...]
    message: str
    remediation: str
    limits: str
    would_decide: Mapping[str, Json] | None = None
    slice: OmitUnset[Mapping[str, Scalar]] = field(default_factory=dict)
    waiver: OmitUnset[str] = ""

    @property
    def name(self) -> str:
        """The rule with its place, as in ``fair[sex=F]``: what tells findings of a target apart."""
        return f"{self.rule}{format_place(self.slice)}"

    to_json = write_fields


def format_place(place: Mapping[str, Scalar]) -> str:
    """Write coordinates in brackets, the keys in order; nothing where there are none."""
    inside = ",".join(f"{key}={format_coordinate(place[key])}" for key in sorted(place))
    return f"[{inside}]" if inside else ""


def format_coordinate(value: Scalar) -> str:
    """Write one coordinate so that equal ones are written alike, and others never are.

    A text that could be read as something else stands in quotation marks.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if AMBIGUOUS.search(value) else value
    whole = float(value).is_integer() and abs(value) < EXACT
    return str(int(value)) if whole else repr(float(value))
