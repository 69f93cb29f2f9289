"""Findings: a rule, its readings, and what became of it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.domain.canonical import Json
from auditor.domain.policies import Control, Effect, Severity
from auditor.domain.readings import Scalar
from auditor.domain.verdicts import Outcome

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
    effect: Effect
    severity: Severity
    readings: tuple[int, ...]
    controls: tuple[Control, ...]
    message: str
    remediation: str
    limits: str
    would_decide: Mapping[str, Json] | None = None
    slice: Mapping[str, Scalar] = field(default_factory=dict)
    waiver: str = ""

    @property
    def name(self) -> str:
        """The rule with its place, as in ``fair[sex=F]``: what tells findings of a target apart."""
        return f"{self.rule}{place_text(self.slice)}"

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        about: dict[str, Json] = {"slice": dict(self.slice)} if self.slice else {}
        return {
            "rule": self.rule,
            "title": self.title,
            "target": self.target,
            **about,
            "measure": self.measure,
            "outcome": self.outcome.value,
            "effect": self.effect.value,
            "severity": self.severity.value,
            "readings": list(self.readings),
            "controls": [control.to_json() for control in self.controls],
            "message": self.message,
            "remediation": self.remediation,
            "limits": self.limits,
            "would_decide": None if self.would_decide is None else dict(self.would_decide),
            **({"waiver": self.waiver} if self.waiver else {}),
        }


def place_text(place: Mapping[str, Scalar]) -> str:
    """Write coordinates in brackets, the keys in order; nothing where there are none."""
    inside = ",".join(f"{key}={scalar_text(place[key])}" for key in sorted(place))
    return f"[{inside}]" if inside else ""


def scalar_text(value: Scalar) -> str:
    """Write one coordinate so that equal ones are written alike, and others never are.

    A text that could be read as something else stands in quotation marks.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if AMBIGUOUS.search(value) else value
    whole = float(value).is_integer() and abs(value) < EXACT
    return str(int(value)) if whole else repr(float(value))
