"""GitLab code quality report: findings, each at its line.

Source: docs.gitlab.com, "Code Quality", section "Code Quality report format". An empty report
shows as clean, so that an audit that decided nothing is a finding of its own.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from auditor.domain.findings import Finding
from auditor.domain.json import Json
from auditor.domain.policies import RuleEffect, Severity
from auditor.reports.finding_locations import SourceLocation, locate_finding, locate_verdict
from auditor.reports.formats.sarif import (
    ALERTS,
    LONGEST_MESSAGE,
    VERDICT,
    choose_level,
    compute_fingerprint,
    cut_text,
)
from auditor.reports.html.findings import sort_worst_first
from auditor.reports.html.verdict import SILENCE, is_decided_by_silence
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import ReportFormat, encode_document
from auditor.reports.wording import OUTCOMES

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


def render_code_quality(inputs: ReportInputs) -> Sequence[Json]:
    """Return the report, the worst first."""
    shown = [item for item in sort_worst_first(inputs.record.findings) if item.outcome in ALERTS]
    issues: list[Json] = [
        _issue(
            f"{OUTCOMES[item.outcome]} on {item.target}: {item.title or item.name}: {item.message}",
            item.name,
            compute_fingerprint(inputs, item.name, item.target),
            _severity(inputs, item),
            locate_finding(inputs, item),
        )
        for item in shown
    ]
    if is_decided_by_silence(inputs.record):
        identity = compute_fingerprint(inputs, VERDICT, "")
        issues.append(_issue(SILENCE, VERDICT, identity, "blocker", locate_verdict(inputs)))
    return issues


def _severity(inputs: ReportInputs, finding: Finding) -> str:
    level = choose_level(inputs, finding.effect)
    shuts = finding.effect is RuleEffect.DENY and level not in LESSER
    return REQUIRED[finding.severity] if shuts else LESSER[level]


def _issue(
    words: str, rule: str, identity: str, severity: str, where: SourceLocation
) -> Mapping[str, Json]:
    return {
        "description": cut_text(words, LONGEST_MESSAGE),
        "check_name": cut_text(rule, LONGEST_MESSAGE),
        "fingerprint": identity,
        "severity": severity,
        "location": {"path": where.path, "lines": {"begin": where.number}},
    }


FORMATS = (
    ReportFormat(
        "code-quality",
        "code-quality.json",
        lambda inputs: encode_document(render_code_quality(inputs)),
    ),
)
