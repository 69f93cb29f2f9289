"""JSON documents of the commands: what ``--format json`` prints, by schemas in reports/schemas."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from auditor.domain.findings import Finding
from auditor.domain.json import Json, write_fields
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import VerificationStep, all_hold
from auditor.workflows.gate import GateQuestion
from auditor.workflows.record_gate import GateInspection
from auditor.workflows.reproduced_readings import Reproduction
from auditor.workflows.verify.rendered_report import was_compared


def describe_record(  # noqa: PLR0913 -- what was written, where, and how it ended
    command: str, record: AuditRecord, policy: Policy, folder: Path, *, exit_code: int, note: str
) -> dict[str, Json]:
    """Return the document of a command that wrote a record to ``folder``.

    ``readings`` of a finding are places in the list of readings of ``record.json``.
    """
    request = record.request
    return {
        "schema": name_schema(command),
        "verdict": record.verdict.value,
        "exit_code": exit_code,
        "note": note,
        "name": request.name,
        "version": request.version,
        "artifact": None if request.artifact is None else request.artifact.digest,
        "targets": [target.name for target in request.targets],
        "budget": request.budget.value,
        "assurance": record.assurance.name,
        "policy": _describe_policy(policy),
        "record": {"id": record.id, "digest": record.digest},
        "folder": str(folder),
        "report": str(folder / "report.html"),
        "outcomes": dict(Counter(item.outcome.value for item in record.findings)),
        "findings": [_describe_finding(item) for item in record.findings],
    }


def describe_steps(
    command: str, steps: Iterable[VerificationStep], *, exit_code: int
) -> dict[str, Json]:
    """Return the document of a command that takes steps, such as a verification."""
    found = tuple(steps)
    return {
        "schema": name_schema(command),
        "holds": all_hold(found),
        "exit_code": exit_code,
        "steps": [write_fields(step) for step in found],
    }


def describe_verification(
    steps: Iterable[VerificationStep], record: AuditRecord | None, *, exit_code: int
) -> dict[str, Json]:
    """Return the document of a verification; ``record`` is there where one was verified."""
    found = tuple(steps)
    return {
        **describe_steps("verify", found, exit_code=exit_code),
        "verdict": None if record is None else record.verdict.value,
        "report_compared": None if record is None else was_compared(found),
    }


def describe_reproduction(found: Reproduction, *, exit_code: int) -> dict[str, Json]:
    """Return the document of a reproduction."""
    return {"schema": name_schema("reproduce"), "exit_code": exit_code, **found.to_json()}


def describe_gate(
    question: GateQuestion, looked: GateInspection, *, exit_code: int, note: str
) -> dict[str, Json]:
    """Return the document of a gate, which is open only where every step holds."""
    record = looked.record
    return {
        **describe_steps("gate", looked.steps, exit_code=exit_code),
        "open": exit_code == 0 and all_hold(looked.steps),
        "note": note,
        "artifact": question.artifact,
        "policy": _describe_policy(question.policy),
        "target": question.target,
        "record": None if record is None else record.digest,
        "verdict": None if record is None else record.verdict.value,
        "report": looked.report,
    }


def _describe_finding(finding: Finding) -> dict[str, Json]:
    return {
        "rule": finding.rule,
        "title": finding.title,
        "target": finding.target,
        "slice": dict(finding.slice),
        "measure": finding.measure,
        "limits": finding.limits,
        "effect": finding.effect.value,
        "severity": finding.severity.value,
        "outcome": finding.outcome.value,
        "message": finding.message,
        "remediation": finding.remediation,
        "readings": list(finding.readings),
    }


def _describe_policy(policy: Policy) -> dict[str, Json]:
    named = {"name": policy.name, "version": policy.version, "digest": policy.digest}
    return {**named, "mode": policy.mode.value}


def name_schema(command: str) -> str:
    """Return what a document calls the schema that it follows."""
    return f"auditor/{command}-output/v1"
