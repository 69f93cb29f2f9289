"""SARIF 2.1.0 export: findings as results, and policy rules as rules with severity and controls.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0 (errata 01), sections 3.19-3.27.
Limits are those of docs.github.com, "SARIF support for code scanning". GitHub rejects empty text in
some fields (see reportingDescriptor object), truncates at its limits, and shows only the first
tags.

An undecided rule is reported as ``fail`` at the level of a failed one. The specification's ``open``
would force level ``none`` (section 3.27.10), and an undecided rule must not look green. The message
and the result's properties hold the actual outcome.

There are two logs. ``results.sarif`` holds every finding, including passes, and marks waived ones
as suppressed. ``code-scanning.sarif`` holds only rules that are not kept: code scanning ignores
``kind`` and ``suppressions``, and would raise an alert for every rule that passed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json, encode_canonical
from auditor.domain.policies import EnforcementMode, Rule, RuleEffect, Severity
from auditor.domain.readings import Gap
from auditor.reports.finding_locations import (
    SourceLocation,
    locate_concern,
    locate_finding,
    locate_verdict,
)
from auditor.reports.formats.markdown import escape_markdown
from auditor.reports.html.control_names import find_catalogue, format_control_chip
from auditor.reports.html.findings import sort_worst_first
from auditor.reports.html.verdict import (
    SILENCE,
    build_sarif_suppression,
    describe_unused_waiver,
    find_verdict_expiry,
    is_decided_by_silence,
    list_waiver_uses,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import ReportFormat, encode_document
from auditor.reports.waiver_text import describe_exceptions
from auditor.reports.wording import (
    EFFECTS,
    OUTCOMES,
    REASONS,
    SEVERITIES,
    describe_rule,
    escape_invisible,
    name_place,
)

LEVELS: Mapping[RuleEffect, str] = MappingProxyType(
    {RuleEffect.DENY: "error", RuleEffect.WARN: "warning", RuleEffect.INFO: "note"}
)
BY_MODE: Mapping[EnforcementMode, Sequence[str]] = MappingProxyType(
    {
        EnforcementMode.ENFORCE: ("error", "warning", "note"),
        EnforcementMode.WARN: ("warning", "note"),
        EnforcementMode.OBSERVE: ("note",),
    }
)
"""Levels that a policy's mode leaves, the worst first: nothing is an error that stops nothing."""
PROBLEMS: Mapping[str, str] = MappingProxyType(
    {"error": "error", "warning": "warning", "note": "recommendation"}
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
MOST_TAGS = 20
LONGEST_NAME = 255
LONGEST_DESCRIPTION = 1024
LONGEST_HELP = 4096


def choose_level(inputs: ReportInputs, effect: RuleEffect) -> str:
    """Return the level of a rule that is not kept: no worse than the policy's mode leaves."""
    worst = BY_MODE[inputs.policy.mode]
    level = LEVELS[effect]
    return level if level in worst else worst[0]


def build_rule_descriptor(inputs: ReportInputs, finding: Finding) -> dict[str, Json]:
    """Return the descriptor of a finding's rule."""
    rule = inputs.rule(finding.rule)
    title = (finding.title if rule is None else rule.title) or finding.rule
    level = choose_level(inputs, finding.effect)
    about: dict[str, Json] = {
        "tags": list(_tags(finding)),
        "precision": "high",
        "problem.severity": PROBLEMS[level],
        "effect": finding.effect.value,
    }
    if inputs.policy.mode is EnforcementMode.ENFORCE:
        # Where it stands, code scanning shuts the gate by it, whatever the level.
        about["security-severity"] = SECURITY[finding.severity]
    said = _asks(inputs, rule, finding)
    parts = [escape_markdown(said), *_marked(finding)]
    plain = f"{said} {finding.remediation}".strip()
    descriptor: dict[str, Json] = {
        "id": finding.rule,
        "name": cut_text(title, LONGEST_NAME),
        "shortDescription": {"text": cut_text(title, LONGEST_DESCRIPTION)},
        "fullDescription": {"text": cut_text(_asks(inputs, rule, finding), LONGEST_DESCRIPTION)},
        "help": {
            "text": cut_text(plain, LONGEST_HELP),
            "markdown": cut_text("\n\n".join(parts), LONGEST_HELP),
        },
        "defaultConfiguration": {"level": level},
        "properties": about,
    }
    sources = []
    for control in finding.controls:
        found = find_catalogue(control.framework)
        sources.append(
            found.source if found is not None and found.source.startswith("https://") else ""
        )
    if any(sources):
        descriptor["helpUri"] = next(filter(None, sources))
    return descriptor


def build_synthetic_rule(name: str, text: str) -> dict[str, Json]:
    """Return the descriptor of a rule that no policy has: it says what no finding can."""
    return {
        "id": name,
        "name": name,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["machine-learning"], "problem.severity": "error"},
    }


def cut_text(text: str, most: int) -> str:
    """Return text that is no longer than ``most``, with what cannot be seen written out."""
    shown = escape_invisible(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _asks(inputs: ReportInputs, rule: Rule | None, finding: Finding) -> str:
    if rule is None:
        return f"{finding.measure}: {finding.limits}".strip(": ") or finding.rule
    return f"{describe_rule(inputs, rule)}. {rule.rationale}".strip()


def _marked(finding: Finding) -> Iterator[str]:
    weight = f"{EFFECTS[finding.effect]}, {SEVERITIES[finding.severity]}"
    yield f"**Weight:** {weight}. **Measured by:** `{finding.measure.replace('`', '')}`"
    if finding.remediation:
        yield f"**Remedy:** {escape_markdown(finding.remediation)}"
    if finding.controls:
        listed = "\n".join(
            f"- {escape_markdown(format_control_chip(it))}" for it in finding.controls
        )
        yield f"**Touches:**\n\n{listed}"


def _tags(finding: Finding) -> Iterator[str]:
    named = ["machine-learning", finding.measure.partition("/")[0].partition(".")[0]]
    cited = (f"{control.framework}:{control.ref}" for control in finding.controls)
    yield from list(dict.fromkeys(filter(None, [*named, *cited])))[:MOST_TAGS]


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


def render_sarif(inputs: ReportInputs) -> Mapping[str, Json]:
    """Return the SARIF log of a record, passes included."""
    return _log(inputs, sort_worst_first(inputs.record.findings), MOST_RESULTS)


def render_code_scanning(inputs: ReportInputs) -> Mapping[str, Json]:
    """Return the SARIF log of what is not kept, as code scanning shows it."""
    shown = [item for item in sort_worst_first(inputs.record.findings) if item.outcome in ALERTS]
    return _log(inputs, shown, MOST_ALERTS)


def compute_fingerprint(inputs: ReportInputs, rule: str, target: str) -> str:
    """Return what is the same in every run for one rule (with its slice), target and model."""
    return hashlib.sha256(encode_canonical([inputs.record.request.name, rule, target])).hexdigest()


def _log(inputs: ReportInputs, findings: Sequence[Finding], most: int) -> Mapping[str, Json]:
    record = inputs.record
    ordered = findings if len(findings) <= most else findings[: most - 1]
    first = {finding.rule: finding for finding in reversed(ordered)}
    names = {rule: place for place, rule in enumerate(sorted(first))}
    rules: list[Json] = [build_rule_descriptor(inputs, first[name]) for name in names]
    results: list[Json] = [_result(inputs, item, names[item.rule]) for item in ordered]
    told = [(MORE, TOO_MANY)] if len(ordered) < len(findings) else []
    told += [(VERDICT, SILENCE)] if is_decided_by_silence(record) else []
    for rule, text in told:
        # Make a result that no finding is: an audit that judged nothing would look green without
        results.append(
            {
                "ruleId": rule,
                "ruleIndex": len(rules),
                "kind": "fail",
                "level": "error",
                "message": {"text": text},
                "locations": [{"physicalLocation": _place(locate_verdict(inputs))}],
                "partialFingerprints": _prints(inputs, rule, ""),
            }
        )
        rules.append(build_synthetic_rule(rule, text))
    version = str(record.tool.get("version", "unknown"))
    # Name the analysis, by model and policy, before the last slash, and the run behind it. So
    # neither another model nor another policy closes these alerts.
    model, policy = (
        quote(name, safe="") for name in (record.request.name, record.request.policy.name)
    )
    run: dict[str, Json] = {
        "tool": {"driver": {"name": "auditor", "version": version, "rules": rules}},
        "automationDetails": {"id": f"auditor/{model}/{policy}/{record.id}"},
        "invocations": [_invocation(inputs)],
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {
            "verdict": record.verdict.value,
            **_describe_end(inputs),
            "recordDigest": record.digest,
            "policyDigest": record.request.policy.digest,
            "assurance": record.assurance.name,
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _describe_end(inputs: ReportInputs) -> dict[str, Json]:
    """Say that a pass rests on waivers, and until when it counts."""
    exception = describe_exceptions(inputs.record, inputs.signed_waivers)
    until = find_verdict_expiry(inputs) if exception else ""
    return {"exception": exception, "validUntil": until} if exception else {}


def _result(inputs: ReportInputs, finding: Finding, index: int) -> dict[str, Json]:
    kind = KINDS[finding.outcome]
    where = f"{name_place(inputs.record, finding.target)}{finding.name.removeprefix(finding.rule)}"
    named = f"{inputs.record.request.name}@{finding.target}/{finding.measure}"
    logical = {"name": finding.measure, "fullyQualifiedName": named, "kind": "resource"}
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "kind": kind,
        "level": choose_level(inputs, finding.effect) if kind == "fail" else "none",
        "message": _message(f"{OUTCOMES[finding.outcome]} on {where}: {finding.message}"),
        "locations": [
            {
                "physicalLocation": _place(locate_finding(inputs, finding)),
                "logicalLocations": [logical],
            }
        ],
        "partialFingerprints": _prints(inputs, finding.name, finding.target),
        "properties": {
            "outcome": finding.outcome.value,
            "target": finding.target,
            **({"slice": dict(finding.slice)} if finding.slice else {}),
        },
    }
    about = locate_concern(inputs, finding)
    if about is not None:
        told = {"text": "What the finding is about"}
        result["relatedLocations"] = [{"id": 1, "physicalLocation": _place(about), "message": told}]
    if finding.outcome is Outcome.WAIVED:
        result["suppressions"] = [build_sarif_suppression(inputs, finding)]
    return result


def _message(text: str) -> dict[str, Json]:
    # What stands before a parenthesis in brackets would be a link (section 3.11.6).
    return {"text": cut_text(text.replace("](", "] ("), LONGEST_MESSAGE)}


def _prints(inputs: ReportInputs, rule: str, target: str) -> dict[str, Json]:
    """Return a result's identity; code scanning reads the first name alone, in its own form."""
    found = compute_fingerprint(inputs, rule, target)
    return {"primaryLocationLineHash": f"{found[:16]}:1", "auditorFinding/v1": found}


def _place(where: SourceLocation) -> dict[str, Json]:
    region: dict[str, Json] = {"startLine": where.number}
    if where.line is not None:
        ends = {"endLine": where.number, "endColumn": where.line.width + 1}
        region = {**region, "startColumn": 1, **ends}
    return {"artifactLocation": {"uri": quote(where.path)}, "region": region}


def _invocation(inputs: ReportInputs) -> dict[str, Json]:
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
            {"level": "warning", "message": _message(describe_unused_waiver(used))}
            for used in list_waiver_uses(inputs)
            if used.idle
        ],
    }


FORMATS = (
    ReportFormat(
        "sarif",
        "results.sarif",
        lambda inputs: encode_document(render_sarif(inputs)),
        kept=True,
    ),
    ReportFormat(
        "code-scanning",
        "code-scanning.sarif",
        lambda inputs: encode_document(render_code_scanning(inputs)),
    ),
)
