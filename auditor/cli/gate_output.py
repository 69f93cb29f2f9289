"""Answers of the deployment gate, from a local record folder or from a service."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from auditor.cli.client_options import SERVER, build_client
from auditor.domain.digests import Digest
from auditor.domain.findings import Finding
from auditor.domain.json import compute_digest
from auditor.domain.policies import AssuranceLevel
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, all_hold
from auditor.errors import RecordError, UsageError
from auditor.reports.folder import EVIDENCE, RECORD
from auditor.reports.html.findings import suggest_remedy
from auditor.reports.wording import OUTCOMES
from auditor.workflows.decision_rights import DecisionOptions
from auditor.workflows.gate import GateQuestion
from auditor.workflows.record_gate import (
    GateInspection,
)
from auditor.workflows.verify.trusted_record import (
    RecordTrustOptions,
)

MOST_NAMED = 3
VERIFIED = "freshness"
"""A step that is only ever taken on a record whose signature holds."""


def parse_gate_subject(record: Path | None, server: str | None) -> Path | str:
    """Return the folder of a record, or the address of a service. Raises ``UsageError``."""
    if record is not None and server is not None:
        raise UsageError("--record conflicts with --server", cure="Use one of the two.")
    if record is not None:
        return record
    found = server or os.environ.get(SERVER)
    if not found:
        raise UsageError(
            "the gate needs a record",
            cure="Name a record folder with --record, or a service with --server.",
        )
    return found


def refuse_trust_options(
    whose: RecordTrustOptions, given: DecisionOptions, *, strict: bool
) -> None:
    """Refuse what says whom to believe, where a service is. Raises ``UsageError``."""
    options = {
        "--key": whose.key,
        "--trust": whose.trust,
        "--assurance": whose.assurance is not AssuranceLevel.A0,
        "--ledger-key": whose.ledger,
        "--witness-key": whose.witnesses,
        "--strict": strict,
        "--waiver-key": given.waiver_keys,
        "--approvals-key": given.approval_keys,
        "--require-approval": given.require_approval,
    }
    for name, there in options.items():
        if there:
            raise UsageError(
                f"{name} works only with --record, not with --server",
                cure="Remove it, or download the record folder and name it with --record.",
            )


def query_service_gate(url: str, question: GateQuestion, max_age: str | None) -> GateInspection:
    """Ask a service whether a gate opens, and fetch the record that it asked.

    Raises ``RecordError`` for another record than it names, and as ``ServiceClient`` does.
    """
    with build_client(url) as client:
        answer = client.gate(
            question.artifact,
            question.policy.digest,
            target=question.target,
            fingerprint=question.identity,
            max_age=max_age,
            baseline=question.baseline,
        )
        # The record that a service asked, where it says that it verified it
        verified = any(step.name == VERIFIED for step in answer.steps)
        unsaid = all_hold(answer.steps) and not answer.open
        if answer.record is None or not verified or unsaid:
            record = None
        else:
            raw = client.record_file(answer.record, RECORD)
            if compute_digest(raw) != answer.record:
                raise RecordError(
                    f"{client.url} sent a different record of {answer.audit} than it named",
                    cure="Do not use this answer, and report it to the operator of the service.",
                )
            record = read_record(raw)
    if record is None or answer.record is None:
        return GateInspection(answer.steps, url)
    report = f"{client.url}/v1/records/{answer.record}/files/report.html"
    return GateInspection(answer.steps, report, record, partial(_blob, url, answer.record))


def describe_gate_answer(looked: GateInspection, question: GateQuestion) -> Iterator[str]:
    """Say whether a gate is open, and else which steps shut it, and the worst rule and its cure."""
    if all_hold(looked.steps):
        yield "Gate: open"
        return
    failed = [step.name for step in looked.steps if step.result is StepResult.FAILED]
    closed = f"Gate: closed ({', '.join(failed) or 'some steps could not be checked'})"
    unmet = () if looked.record is None else question.unmet_by(looked.record)
    if looked.record is None or "verdict" not in failed or not unmet:
        yield closed
        return
    named = [f"{it.name} {OUTCOMES[it.outcome].lower()}" for it in unmet]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    yield f"{closed}: {', '.join(named[:MOST_NAMED])}{more}"
    cures: dict[str, dict[str, None]] = {}
    for finding in unmet[:MOST_NAMED]:
        if remedy := _suggest(looked.record, question, finding):
            cures.setdefault(remedy, {})[finding.name] = None
    for remedy, rules in cures.items():
        yield f"To do ({', '.join(rules)}): {remedy}"


def _suggest(record: AuditRecord, question: GateQuestion, finding: Finding) -> str:
    same = record.request.policy.digest == question.policy.digest
    rule = next((it for it in question.policy.rules if same and it.id == finding.rule), None)
    limits = None if rule is None else rule.under(record.request.claims).limits
    return suggest_remedy(record, finding, limits)


def _blob(url: str, record: str, name: str) -> bytes:
    with build_client(url) as client:
        raw = client.record_file(record, f"{EVIDENCE}/{Digest(name).hex}")
    if compute_digest(raw) != name:
        raise KeyError(name)
    return raw
