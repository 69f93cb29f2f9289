"""A code quality report for GitLab: what is not kept, each at its line.

Source: docs.gitlab.com, "Code Quality", section "Code Quality report format". An empty report
shows as clean, so that an audit that decided nothing is a finding of its own.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Severity
from auditor.rendering.cards import worst_first
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.locations import Location, location, verdict_location
from auditor.rendering.phrases import OUTCOMES
from auditor.rendering.sarif import ALERTS, LONGEST_MESSAGE, VERDICT, fingerprint
from auditor.rendering.sarif_rules import cut, level_of
from auditor.rendering.verdicts import SILENCE, decided_by_silence

REQUIRED: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.CRITICAL: "blocker",
        Severity.HIGH: "critical",
        Severity.MEDIUM: "major",
        Severity.LOW: "minor",
    }
)
LESSER: Mapping[str, str] = MappingProxyType({"warning": "minor", "note": "info"})
"""Severities of what shuts no gate, by its level."""


def render_code_quality(inputs: RenderedInputs) -> Sequence[Json]:
    """Return the report, the worst first."""
    shown = [item for item in worst_first(inputs.record.findings) if item.outcome in ALERTS]
    issues: list[Json] = [
        _issue(
            f"{OUTCOMES[item.outcome]} on {item.target}: {item.title or item.name}: {item.message}",
            item.name,
            fingerprint(inputs, item.name, item.target),
            _severity(inputs, item),
            location(inputs, item),
        )
        for item in shown
    ]
    if decided_by_silence(inputs.record):
        identity = fingerprint(inputs, VERDICT, "")
        issues.append(_issue(SILENCE, VERDICT, identity, "blocker", verdict_location(inputs)))
    return issues


def _severity(inputs: RenderedInputs, finding: Finding) -> str:
    level = level_of(inputs, finding.effect)
    shuts = finding.effect is Effect.DENY and level not in LESSER
    return REQUIRED[finding.severity] if shuts else LESSER[level]


def _issue(
    words: str, rule: str, identity: str, severity: str, where: Location
) -> Mapping[str, Json]:
    return {
        "description": cut(words, LONGEST_MESSAGE),
        "check_name": cut(rule, LONGEST_MESSAGE),
        "fingerprint": identity,
        "severity": severity,
        "location": {"path": where.path, "lines": {"begin": where.number}},
    }
