"""What a gate looked at: a folder's record, or what a service says of the records that it holds."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.cli.believing import Whose
from auditor.cli.decision_options import DecisionOptions
from auditor.cli.there import SERVER, client_of
from auditor.client.service import ServiceClient
from auditor.client.values import GateAnswer
from auditor.domain.canonical import digest
from auditor.domain.policies import Assurance
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, all_hold
from auditor.errors import RecordError, UsageError
from auditor.folders import EVIDENCE, RECORD
from auditor.gates import Question

VERIFIED = "freshness"
"""A step that is only ever taken on a record whose signature holds."""


def nothing(name: str) -> bytes:
    """Return no blob: there is no record that verified. Raises ``KeyError``."""
    raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Looked:
    """The steps of a gate, where the report is, and the record and its blobs if it verified."""

    steps: tuple[Step, ...]
    report: str
    record: AuditRecord | None = None
    blob: Callable[[str], bytes] = nothing


def record_or_service(record: Path | None, server: str | None) -> Path | str:
    """Return the folder of a record, or the address of a service. Raises ``UsageError``."""
    if record is not None and server is not None:
        raise UsageError("--record and --server are both given", cure="Give one of them.")
    if record is not None:
        return record
    found = server or os.environ.get(SERVER)
    if not found:
        raise UsageError(
            "nothing says which record to ask",
            cure="Name its folder with --record, or a service with --server.",
        )
    return found


def refuse_believing(whose: Whose, given: DecisionOptions, *, strict: bool) -> None:
    """Refuse what says whom to believe, where a service is. Raises ``UsageError``."""
    options = {
        "--key": whose.key,
        "--trust": whose.trust,
        "--assurance": whose.assurance is not Assurance.A0,
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
                f"{name} is for a record's folder, and a service is asked",
                cure="Leave it out, or fetch the folder and name it with --record.",
            )


def gate_there(url: str, question: Question, max_age: str | None) -> Looked:
    """Ask a service whether a gate opens, and fetch the record that it asked.

    Raises ``RecordError`` for another record than it names, and as ``ServiceClient`` does.
    """
    with client_of(url) as client:
        answer = client.gate(
            question.artifact,
            question.policy.digest,
            target=question.target,
            fingerprint=question.identity,
            max_age=max_age,
            baseline=question.baseline,
        )
        record = _record(client, answer)
    if record is None or answer.record is None:
        return Looked(answer.steps, url)
    report = f"{client.url}/v1/records/{answer.record}/files/report.html"
    return Looked(answer.steps, report, record, partial(_blob, url, answer.record))


def _record(client: ServiceClient, answer: GateAnswer) -> AuditRecord | None:
    """Return the record that a service asked, where it says that it verified it."""
    verified = any(step.name == VERIFIED for step in answer.steps)
    unsaid = all_hold(answer.steps) and not answer.open
    if answer.record is None or not verified or unsaid:
        return None
    raw = client.record_file(answer.record, RECORD)
    if digest(raw) != answer.record:
        raise RecordError(
            f"{client.url} sent another record of {answer.audit} than it asked",
            cure="Do not rely on it, and tell who runs the service.",
        )
    return read_record(raw)


def _blob(url: str, record: str, name: str) -> bytes:
    with client_of(url) as client:
        raw = client.record_file(record, f"{EVIDENCE}/{name.removeprefix('sha256:')}")
    if digest(raw) != name:
        raise KeyError(name)
    return raw
