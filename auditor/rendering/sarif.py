"""SARIF 2.1.0 for code scanning: findings as results, rules with severities and controls.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0 (errata 01), sections 3.19-3.27.

An undecided rule is reported as ``fail`` at the level of a failed one: ``open`` would be the
specification's word, but forces level ``none`` (section 3.27.10), and what is not decided must
not look green. The outcome stands in the message and in the result's properties.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Rule, Severity
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.rendering.cards import worst_first
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import OUTCOMES, REASONS, asked
from auditor.rendering.verdicts import SILENCE, decided_by_silence

VERDICT = "auditor.verdict"
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
KINDS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.FAILED: "fail",
        Outcome.UNKNOWN: "fail",
        Outcome.WAIVED: "fail",
        Outcome.WITHSTOOD: "informational",
        Outcome.PASSED: "pass",
        Outcome.NOT_APPLICABLE: "notApplicable",
    }
)
LEVELS: Mapping[Effect, str] = MappingProxyType(
    {Effect.DENY: "error", Effect.WARN: "warning", Effect.INFO: "note"}
)
SECURITY: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.CRITICAL: "9.5",
        Severity.HIGH: "8.0",
        Severity.MEDIUM: "5.5",
        Severity.LOW: "2.0",
    }
)
"""Scores in the bands by which code scanning names severities."""


def render_sarif(inputs: RenderedInputs) -> Mapping[str, Json]:
    """Return the SARIF log of a record, passes included."""
    record = inputs.record
    ordered = worst_first(record.findings)
    names = sorted({finding.rule for finding in ordered})
    first = {finding.rule: finding for finding in reversed(ordered)}
    rules: list[Json] = [_rule(inputs, first[name]) for name in names]
    results: list[Json] = [_result(inputs, item, names.index(item.rule)) for item in ordered]
    if decided_by_silence(record):
        rules.append({"id": VERDICT, "shortDescription": {"text": SILENCE}})
        results.append(_silence(inputs, len(names)))
    version = str(record.tool.get("version", "unknown"))
    run: dict[str, Json] = {
        "tool": {"driver": {"name": "auditor", "version": version, "rules": rules}},
        "automationDetails": {"id": f"auditor/{record.request.name}/{record.id}"},
        "invocations": [_invocation(inputs)],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": _about(record),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _about(record: AuditRecord) -> dict[str, Json]:
    return {
        "verdict": record.verdict.value,
        "recordDigest": record.digest,
        "policyDigest": record.request.policy.digest,
        "assurance": record.assurance.name,
    }


def _rule(inputs: RenderedInputs, finding: Finding) -> dict[str, Json]:
    rule = inputs.rule(finding.rule)
    described: dict[str, Json] = {
        "id": finding.rule,
        "name": finding.title,
        "shortDescription": {"text": finding.title},
        "fullDescription": {"text": _described(inputs, rule, finding)},
        "defaultConfiguration": {"level": LEVELS[finding.effect]},
        "properties": {
            "tags": ["machine-learning", *_tags(finding)],
            "security-severity": SECURITY[finding.severity],
            "effect": finding.effect.value,
        },
    }
    if finding.remediation:
        described["help"] = {"text": finding.remediation}
    return described


def _described(inputs: RenderedInputs, rule: Rule | None, finding: Finding) -> str:
    if rule is None:
        return f"{finding.measure}: {finding.limits}".strip(": ")
    return f"{asked(inputs, rule)}. {rule.rationale}".strip()


def _tags(finding: Finding) -> Sequence[str]:
    return [f"{control.framework}:{control.ref}" for control in finding.controls]


def _result(inputs: RenderedInputs, finding: Finding, index: int) -> dict[str, Json]:
    kind = KINDS[finding.outcome]
    name = inputs.record.request.name
    identity = hashlib.sha256(f"{name}\n{finding.rule}\n{finding.target}".encode()).hexdigest()
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": kind,
        "level": LEVELS[finding.effect] if kind == "fail" else "none",
        "message": {"text": f"{OUTCOMES[finding.outcome]} on {finding.target}: {finding.message}"},
        "locations": [_location(inputs, finding)],
        "partialFingerprints": {"auditorFinding/v1": identity},
        "properties": {"outcome": finding.outcome.value, "target": finding.target},
    }
    if finding.outcome is Outcome.WAIVED:
        waived = {"kind": "external", "status": "accepted", "justification": finding.message}
        result["suppressions"] = [waived]
    return result


def _silence(inputs: RenderedInputs, index: int) -> dict[str, Json]:
    """Make a result of an audit that judged nothing: an empty log would look green."""
    name = inputs.record.request.name
    return {
        "ruleId": VERDICT,
        "ruleIndex": index,
        "kind": "fail",
        "level": "error",
        "message": {"text": SILENCE},
        "locations": [{"physicalLocation": _place(inputs)}],
        "partialFingerprints": {"auditorFinding/v1": hashlib.sha256(name.encode()).hexdigest()},
    }


def _place(inputs: RenderedInputs) -> dict[str, Json]:
    uri = quote(inputs.audit_file)
    return {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}


def _location(inputs: RenderedInputs, finding: Finding) -> dict[str, Json]:
    return {
        "physicalLocation": _place(inputs),
        "logicalLocations": [
            {
                "name": finding.measure,
                "fullyQualifiedName": f"{inputs.record.request.name}@{finding.target}/"
                f"{finding.measure}",
                "kind": "resource",
            }
        ],
    }


def _invocation(inputs: RenderedInputs) -> dict[str, Json]:
    record = inputs.record
    gaps = [item for item in record.readings if isinstance(item, Gap)]
    return {
        "executionSuccessful": True,
        "startTimeUtc": record.registered,
        "endTimeUtc": record.finished,
        "toolExecutionNotifications": [
            {
                "level": "warning",
                "message": {
                    "text": f"{gap.check} on {gap.target} {REASONS[gap.reason]}. {gap.detail} "
                    f"{gap.cure}".strip()
                },
            }
            for gap in gaps
        ],
    }
