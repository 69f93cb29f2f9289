"""The records that a project's submissions came to."""

from dataclasses import dataclass, replace

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from auditor.domain.budgets import Budget
from auditor.domain.canonical import parse
from auditor.domain.json_parts import Part
from auditor.domain.request_json import read_request
from auditor.domain.requests import AuditRequest
from auditor.store.service.store import ServiceStore
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.tables import RecordRow, RecordTargetRow, RequestRow

MOST = 200
"""So many records are looked through for one that was asked for as much as a policy asks."""

NEWEST = (
    RecordRow.finished.desc(), RecordRow.verdict, SubmissionRow.id.desc(), RecordRow.digest,
)  # fmt: skip
"""The newest record first; of those of one second a failing one, which stands before a passing,
and of equal ones that of the audit which was asked for last."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A record's digest, the submission that it came of, and its folder's manifest."""

    submission: str
    record: str
    files: str | None


@dataclass(frozen=True, slots=True)
class Sought:
    """Whose records are sought: of which artifact under which policy, both by digest, and where."""

    project: str
    artifact: str
    policy: str
    target: str | None = None


def newest(kept: ServiceStore, sought: Sought, least: Budget) -> Audited | None:
    """Return the newest record of all checks within a budget that covers ``least``.

    Where none of the newest ``MOST`` was asked for as much, it is the newest, which then says so.
    """
    with kept.store.reading() as session:
        found = session.execute(_asked(sought).limit(MOST)).all()
        requests = dict.fromkeys(row[3] for row in found)
        whole = next((it for it in requests if _whole(_request(session, it), least)), None)
        for submission, record, files, request in found:
            if whole in {None, request}:
                return Audited(submission, record, files)
    return None


def whole_ones(kept: ServiceStore, sought: Sought, least: Budget) -> tuple[Audited, ...]:
    """Return the records of the newest ``MOST`` that ``newest`` chooses from, in their order."""
    with kept.store.reading() as session:
        found = session.execute(_asked(sought).limit(MOST)).all()
        requests = dict.fromkeys(row[3] for row in found)
        whole = {it for it in requests if _whole(_request(session, it), least)}
        return tuple(Audited(*row[:3]) for row in found if not whole or row[3] in whole)


def whole_targets(kept: ServiceStore, sought: Sought, least: Budget) -> tuple[str, ...]:
    """Return the targets, by name, that any record audited which covers ``least`` with all checks.

    One counts too whose newest ``MOST`` are of less: what older ones found there is not forgotten.
    Where no record is of so much, they are those of all, of which ``newest`` then chooses.
    """
    row = RecordTargetRow
    asked = _asked(sought).join(row, row.record_digest == RecordRow.digest)
    with kept.store.reading() as session:
        named = asked.order_by(None).with_only_columns(row.target).distinct()
        names = sorted(session.scalars(named))
        whole = [it for it in names if _any_whole(session, replace(sought, target=it), least)]
    return tuple(whole or names)


def measured_since(kept: ServiceStore, sought: Sought, registered: str) -> bool:
    """Whether anything that a record rests on was asked for after a time."""
    later = _asked(sought).where(RecordRow.registered > registered).limit(1)
    with kept.store.reading() as session:
        return session.execute(later).first() is not None


def _any_whole(session: Session, sought: Sought, least: Budget) -> bool:
    found = session.execute(_asked(sought).limit(MOST)).all()
    requests = dict.fromkeys(row[3] for row in found)
    return len(found) == MOST or any(_whole(_request(session, it), least) for it in requests)


def _asked(sought: Sought) -> "Select[str, str, str | None, str]":
    asked = (
        select(SubmissionRow.id, RecordRow.digest, OutcomeRow.files, RecordRow.request_digest)
        .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
        .where(
            # Not by an index: most of what is kept may be of one project, and a gate wants few.
            SubmissionRow.project.concat("") == sought.project,
            RecordRow.artifact_digest == sought.artifact,
            RecordRow.policy_digest == sought.policy,
        )
        .order_by(*NEWEST)
    )
    if sought.target is None:
        return asked
    row = RecordTargetRow
    on = select(row.target).where(
        row.record_digest == RecordRow.digest, row.target == sought.target
    )
    return asked.where(on.exists())


def _request(session: Session, digest: str) -> AuditRequest:
    body = session.scalar(select(RequestRow.body).where(RequestRow.digest == digest))
    return read_request(Part(parse((body or "").encode()), "request"))


def _whole(request: AuditRequest, least: Budget) -> bool:
    return not request.only and request.budget.covers(least)
