"""Answers of the deployment gate, from a local record folder or from a service."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.cli.client_options import SERVER, build_client
from auditor.cli.decision_options import DecisionOptions, DecisionRights
from auditor.cli.trust_options import RecordTrustOptions, check_key_in_ledger, judge_signer
from auditor.domain.json import compute_digest
from auditor.domain.policies import AssuranceLevel
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import VerificationStep, all_hold
from auditor.errors import RecordError, UsageError
from auditor.reports.folder import EVIDENCE, RECORD, SIGNER, RecordFolder
from auditor.service.client.api import ServiceClient
from auditor.service.client.responses import ServedGateAnswer
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.workflows.challenge_status import check_challenges, list_challenges
from auditor.workflows.gate import GateQuestion
from auditor.workflows.settings import AuditorSettings

VERIFIED = "freshness"
"""A step that is only ever taken on a record whose signature holds."""


def refuse_blob(name: str) -> bytes:
    """Return no blob: there is no record that verified. Raises ``KeyError``."""
    raise KeyError(name)


@dataclass(frozen=True, slots=True)
class GateInspection:
    """The steps of a gate, where the report is, and the record and its blobs if it verified."""

    steps: tuple[VerificationStep, ...]
    report: str
    record: AuditRecord | None = None
    blob: Callable[[str], bytes] = refuse_blob


def parse_gate_subject(record: Path | None, server: str | None) -> Path | str:
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
                f"{name} is for a record's folder, and a service is asked",
                cure="Leave it out, or fetch the folder and name it with --record.",
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
        record = _record(client, answer)
    if record is None or answer.record is None:
        return GateInspection(answer.steps, url)
    report = f"{client.url}/v1/records/{answer.record}/files/report.html"
    return GateInspection(answer.steps, report, record, partial(_blob, url, answer.record))


def _record(client: ServiceClient, answer: ServedGateAnswer) -> AuditRecord | None:
    """Return the record that a service asked, where it says that it verified it."""
    verified = any(step.name == VERIFIED for step in answer.steps)
    unsaid = all_hold(answer.steps) and not answer.open
    if answer.record is None or not verified or unsaid:
        return None
    raw = client.record_file(answer.record, RECORD)
    if compute_digest(raw) != answer.record:
        raise RecordError(
            f"{client.url} sent another record of {answer.audit} than it asked",
            cure="Do not rely on it, and tell who runs the service.",
        )
    return read_record(raw)


def _blob(url: str, record: str, name: str) -> bytes:
    with build_client(url) as client:
        raw = client.record_file(record, f"{EVIDENCE}/{name.removeprefix('sha256:')}")
    if compute_digest(raw) != name:
        raise KeyError(name)
    return raw


def check_record_counts(  # noqa: PLR0913 -- what is asked, and who is believed
    record: AuditRecord,
    folder: RecordFolder,
    believed: TrustPolicy | None,
    may: DecisionRights,
    asked: Iterable[VerificationStep],
    *,
    strict: bool,
) -> tuple[VerificationStep, ...]:
    """Return what was ``asked``, between what became of a record's keys and what people say.

    These are its signer and the life of its key, challenges, waivers and approvals.
    """
    against = list_challenges(record, folder, AuditorSettings.from_environment().place)
    return (
        *judge_signer(folder, believed),
        *check_key_in_ledger(record, folder),
        *asked,
        check_challenges(record, against, folder.read(SIGNER), strict=strict),
        *may.steps(record, folder),
    )
