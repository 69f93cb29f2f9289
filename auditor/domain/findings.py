"""Findings: a rule, its readings, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.canonical import Json
from auditor.domain.policies import Control, Effect, Severity
from auditor.domain.verdicts import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found on one target.

    ``readings`` are indices into the record's readings, the deciding one first.
    ``would_decide`` says what would turn an unknown into an answer, as ``{"rows": 1200}``.
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

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {
            "rule": self.rule,
            "title": self.title,
            "target": self.target,
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
        }
