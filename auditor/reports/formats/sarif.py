"""SARIF 2.1.0: findings as results, rules with severities and controls.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0 (errata 01), sections 3.19-3.27;
limits are those of docs.github.com, "SARIF support for code scanning".

An undecided rule is reported as ``fail`` at the level of a failed one: ``open`` would be the
specification's word, but forces level ``none`` (section 3.27.10), and what is not decided must
not look green. The outcome stands in the message and in the result's properties.

There are two logs. ``results.sarif`` holds every finding, passes included, and marks waived ones as
suppressed. ``code-scanning.sarif`` holds what is not kept, and nothing else: code scanning reads
neither ``kind`` nor ``suppressions``, and would raise an alert for every rule that passed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from auditor.domain.canonical import Json, canonical
from auditor.domain.findings import Finding
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.rendering.cards import worst_first
from auditor.rendering.decisions import suppression, uses, warning
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.locations import Location, concern, location, verdict_location
from auditor.rendering.phrases import OUTCOMES, REASONS
from auditor.rendering.sarif_rules import cut, described, level_of, made_up
from auditor.rendering.verdicts import SILENCE, decided_by_silence

VERDICT = "auditor.verdict"
MORE = "auditor.more"
TOO_MANY = "There are more findings than this file may hold; the record has them all."
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
ALERTS = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
MOST_RESULTS = 25_000
"""GitHub refuses a file with more."""
MOST_ALERTS = 5_000
"""And shows no more than these."""
MOST_NOTIFICATIONS = 1_000
LONGEST_MESSAGE = 2_000


def render_sarif(inputs: RenderedInputs) -> Mapping[str, Json]:
    """Return the SARIF log of a record, passes included."""
    return _log(inputs, worst_first(inputs.record.findings), MOST_RESULTS)


def render_code_scanning(inputs: RenderedInputs) -> Mapping[str, Json]:
    """Return the SARIF log of what is not kept, as code scanning shows it."""
    shown = [item for item in worst_first(inputs.record.findings) if item.outcome in ALERTS]
    return _log(inputs, shown, MOST_ALERTS)


def fingerprint(inputs: RenderedInputs, rule: str, target: str) -> str:
    """Return what is the same in every run for one rule (with its slice), target and model."""
    return hashlib.sha256(canonical([inputs.record.request.name, rule, target])).hexdigest()


def _log(inputs: RenderedInputs, findings: Sequence[Finding], most: int) -> Mapping[str, Json]:
    record = inputs.record
    ordered = findings if len(findings) <= most else findings[: most - 1]
    first = {finding.rule: finding for finding in reversed(ordered)}
    names = {rule: place for place, rule in enumerate(sorted(first))}
    rules: list[Json] = [described(inputs, first[name]) for name in names]
    results: list[Json] = [_result(inputs, item, names[item.rule]) for item in ordered]
    told = [(MORE, TOO_MANY)] if len(ordered) < len(findings) else []
    told += [(VERDICT, SILENCE)] if decided_by_silence(record) else []
    for rule, text in told:
        results.append(_made_up(inputs, rule, text, len(rules)))
        rules.append(made_up(rule, text))
    version = str(record.tool.get("version", "unknown"))
    run: dict[str, Json] = {
        "tool": {"driver": {"name": "auditor", "version": version, "rules": rules}},
        "automationDetails": {"id": _category(record)},
        "invocations": [_invocation(inputs)],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": _about(record),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _category(record: AuditRecord) -> str:
    """Name the analysis, by model and policy, before the last slash, and the run behind it.

    So neither another model nor another policy closes these alerts.
    """
    model, policy = (
        quote(name, safe="") for name in (record.request.name, record.request.policy.name)
    )
    return f"auditor/{model}/{policy}/{record.id}"


def _about(record: AuditRecord) -> dict[str, Json]:
    return {
        "verdict": record.verdict.value,
        "recordDigest": record.digest,
        "policyDigest": record.request.policy.digest,
        "assurance": record.assurance.name,
    }


def _result(inputs: RenderedInputs, finding: Finding, index: int) -> dict[str, Json]:
    kind = KINDS[finding.outcome]
    where = f"{finding.target}{finding.name.removeprefix(finding.rule)}"
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": kind,
        "level": level_of(inputs, finding.effect) if kind == "fail" else "none",
        "message": _message(f"{OUTCOMES[finding.outcome]} on {where}: {finding.message}"),
        "locations": [_located(inputs, finding)],
        "partialFingerprints": _prints(inputs, finding.name, finding.target),
        "properties": {
            "outcome": finding.outcome.value,
            "target": finding.target,
            **({"slice": dict(finding.slice)} if finding.slice else {}),
        },
    }
    about = concern(inputs, finding)
    if about is not None:
        told = {"text": "What the finding is about"}
        result["relatedLocations"] = [{"id": 1, "physicalLocation": _place(about), "message": told}]
    if finding.outcome is Outcome.WAIVED:
        result["suppressions"] = [suppression(inputs, finding)]
    return result


def _made_up(inputs: RenderedInputs, rule: str, text: str, index: int) -> dict[str, Json]:
    """Make a result that no finding is: an audit that judged nothing would look green without."""
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "kind": "fail",
        "level": "error",
        "message": {"text": text},
        "locations": [{"physicalLocation": _place(verdict_location(inputs))}],
        "partialFingerprints": _prints(inputs, rule, ""),
    }


def _message(text: str) -> dict[str, Json]:
    # What stands before a parenthesis in brackets would be a link (section 3.11.6).
    return {"text": cut(text.replace("](", "] ("), LONGEST_MESSAGE)}


def _prints(inputs: RenderedInputs, rule: str, target: str) -> dict[str, Json]:
    """Return a result's identity; code scanning reads the first name alone, in its own form."""
    found = fingerprint(inputs, rule, target)
    return {"primaryLocationLineHash": f"{found[:16]}:1", "auditorFinding/v1": found}


def _place(where: Location) -> dict[str, Json]:
    region: dict[str, Json] = {"startLine": where.number}
    if where.line is not None:
        ends = {"endLine": where.number, "endColumn": where.line.width + 1}
        region = {**region, "startColumn": 1, **ends}
    return {"artifactLocation": {"uri": quote(where.path)}, "region": region}


def _located(inputs: RenderedInputs, finding: Finding) -> dict[str, Json]:
    named = f"{inputs.record.request.name}@{finding.target}/{finding.measure}"
    logical = {"name": finding.measure, "fullyQualifiedName": named, "kind": "resource"}
    return {
        "physicalLocation": _place(location(inputs, finding)),
        "logicalLocations": [logical],
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
                "message": _message(
                    f"{gap.check} on {gap.target} {REASONS[gap.reason]}. {gap.detail} "
                    f"{gap.cure}".strip()
                ),
            }
            for gap in gaps[:MOST_NOTIFICATIONS]
        ]
        + [
            {"level": "warning", "message": _message(warning(used))}
            for used in uses(inputs)
            if used.idle
        ],
    }
