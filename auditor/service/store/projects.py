"""Stored projects, API keys, uploads, and audit log, with upload and submission quotas.

Each audit log entry is a row and a ledger leaf, written in the same transaction.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.json import JsonPart, encode_canonical, parse_json
from auditor.errors import QuotaError, SubmissionError, UsageError
from auditor.service.domain.access import AccessRole, ApiKey, AuditLogAction, AuditLogEntry
from auditor.service.domain.submissions import UploadedFile, UploadKind
from auditor.service.domain.webhooks import WebhookEvent
from auditor.service.store.tables import (
    ApiKeyEndRow,
    ApiKeyRow,
    AuditLogRow,
    OutcomeRow,
    ProjectRow,
    SubmissionRow,
    UploadRow,
)
from auditor.service.store.webhook_outbox import queue_webhook_messages
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.ledger.events import LedgerEvent, LedgerEventType


def require_project(session: Session, name: str) -> None:
    """Raise ``SubmissionError`` where there is no project of that name."""
    if session.get(ProjectRow, name) is None:
        raise SubmissionError(
            f"there is no project {name[:80]!r}",
            cure="Name a project that an administrator created.",
        )


def list_projects(session: Session) -> tuple[tuple[str, str], ...]:
    """Return every project with when it was made, the oldest first."""
    row = ProjectRow
    asked = select(row.name, row.created).order_by(row.created, row.name)
    return tuple((name, created) for name, created in session.execute(asked))


def keep_key(session: Session, key: ApiKey) -> bool:
    """Keep a key, unless there is one of its id."""
    require_project(session, key.project)
    return insert_if_absent(
        session,
        ApiKeyRow,
        id=key.id,
        project=key.project,
        role=key.role.value,
        name=key.name,
        secret_hash=key.secret_hash,
        created=key.created,
        expires=key.expires,
    )


def find_key(session: Session, key_id: str) -> ApiKey | None:
    """Return the key of an id, ended or not."""
    row = session.get(ApiKeyRow, key_id)
    return None if row is None else _key(row, session.get(ApiKeyEndRow, key_id))


def end_key(session: Session, key_id: str, at: str, reason: str) -> bool:
    """End a key, unless it has ended; web hooks of its project hear of it."""
    first = insert_if_absent(session, ApiKeyEndRow, key_id=key_id, ended=at, reason=reason)
    row = session.get(ApiKeyRow, key_id)
    if first and row is not None:
        queue_webhook_messages(session, row.project, WebhookEvent.KEY_ENDED, key_id, at)
    return first


def count_ended_keys(session: Session) -> int:
    """Return how many keys of all projects have been ended."""
    return session.scalar(select(func.count()).select_from(ApiKeyEndRow)) or 0


def list_keys(session: Session, project: str) -> tuple[ApiKey, ...]:
    """Return a project's keys, the oldest first."""
    asked = (
        select(ApiKeyRow, ApiKeyEndRow)
        .outerjoin(ApiKeyEndRow, ApiKeyEndRow.key_id == ApiKeyRow.id)
        .where(ApiKeyRow.project == project)
        .order_by(ApiKeyRow.created, ApiKeyRow.id)
    )
    return tuple(_key(row, end) for row, end in session.execute(asked))


def keep_upload(session: Session, upload: UploadedFile) -> bool:
    """Keep an upload, unless the project brought the same bytes as the same kind before."""
    require_project(session, upload.project)
    return insert_if_absent(
        session,
        UploadRow,
        project=upload.project,
        digest=upload.digest,
        kind=upload.kind.value,
        name=upload.name,
        size=upload.size,
        at=upload.at,
    )


def list_uploads(
    session: Session, project: str, kind: UploadKind, cursor: str | None, limit: int
) -> tuple[UploadedFile, ...]:
    """Return a project's uploads in the order of their digests, those after ``cursor``."""
    asked = (
        select(UploadRow)
        .where(UploadRow.project == project, UploadRow.kind == kind.value)
        .where(UploadRow.digest > (cursor or ""))
        .order_by(UploadRow.digest)
        .limit(limit)
    )
    return tuple(
        UploadedFile(
            project=row.project,
            digest=row.digest,
            kind=UploadKind(row.kind),
            name=row.name,
            size=row.size,
            at=row.at,
        )
        for row in session.scalars(asked)
    )


def has_upload(session: Session, project: str, digest: str) -> bool:
    """Whether a project brought the bytes of a digest, as whatever kind."""
    asked = select(UploadRow.digest).where(UploadRow.project == project, UploadRow.digest == digest)
    return session.scalar(asked.limit(1)) is not None


def find_upload_name(session: Session, project: str, digest: str, kind: UploadKind) -> str | None:
    """Return the name of an upload of a kind, if the project has one of that digest."""
    found = session.get(UploadRow, (project, digest, kind.value))
    return None if found is None else found.name


def _key(row: ApiKeyRow, end: ApiKeyEndRow | None) -> ApiKey:
    return ApiKey(
        id=row.id,
        project=row.project,
        role=AccessRole(row.role),
        name=row.name,
        secret_hash=row.secret_hash,
        created=row.created,
        expires=row.expires,
        ended=None if end is None else end.ended,
    )


def build_action_event(act: AuditLogEntry) -> LedgerEvent:
    """Return the event that a caller of a service did something, by all that is said of it."""
    return LedgerEvent(LedgerEventType.ACT, act.digest, act.at, {}, act.id)


def append_audit_log(work: UnitOfWork, act: AuditLogEntry) -> None:
    """Write down an act with what it changes: both are kept, and in the ledger, or neither is."""
    work.session.add(
        AuditLogRow(
            id=act.id,
            project=act.project,
            caller=act.caller,
            subject=act.subject,
            kind=act.kind.value,
            about=act.about,
            at=act.at,
            detail=encode_canonical(dict(act.detail)).decode(),
        )
    )
    work.session.flush()
    work.append(build_action_event(act))


def log_change(work: UnitOfWork, act: AuditLogEntry | None, *, changed: bool) -> bool:
    """Write an act down if it changed something, and say whether it did."""
    if changed and act is not None:
        append_audit_log(work, act)
    return changed


def read_audit_log_entry(row: AuditLogRow) -> AuditLogEntry:
    """Return the act of a row. Raises ``RecordError`` or ``ValueError`` for what is none."""
    return AuditLogEntry(
        id=row.id,
        project=row.project,
        caller=row.caller,
        subject=row.subject,
        kind=AuditLogAction(row.kind),
        about=row.about,
        at=row.at,
        detail=JsonPart(parse_json(row.detail.encode()), "detail").value,
    )


@dataclass(frozen=True, slots=True)
class AuditLogStore:
    """What was done to a service, as its store has it."""

    store: RecordStore

    def listed(
        self, project: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[tuple[AuditLogEntry, ...], str]:
        """Return a project's acts, the newest first, and the cursor of what follows, if any.

        Raises ``UsageError`` for a cursor that is none of this list.
        """
        asked = (
            select(AuditLogRow)
            .where(AuditLogRow.project == project)
            .order_by(AuditLogRow.number.desc())
        )
        with self.store.reading() as session:
            if cursor is not None:
                number_asked = select(AuditLogRow.number).where(
                    AuditLogRow.id == cursor, AuditLogRow.project == project
                )
                number = session.scalar(number_asked)
                if number is None:
                    raise UsageError(
                        f"{cursor[:80]!r} is not a cursor of this list",
                        cure=(
                            "Use the `next` value of the last page, or no cursor for "
                            "the first page."
                        ),
                    )
                asked = asked.where(AuditLogRow.number < number)
            found = tuple(
                read_audit_log_entry(row) for row in session.scalars(asked.limit(limit + 1))
            )
        return found[:limit], found[limit - 1].id if len(found) > limit else ""


FRESH = 10.0
"""Seconds after which what a project has is counted again, whatever was let in."""


def sum_upload_bytes(session: Session, project: str) -> int:
    """Return the bytes of a project's uploads; those brought as two kinds count once."""
    row = UploadRow
    once = select(func.max(row.size).label("size")).where(row.project == project)
    each = once.group_by(row.digest).subquery()
    return int(session.scalar(select(func.coalesce(func.sum(each.c.size), 0))) or 0)


def refuse_excess_submissions(session: Session, project: str, most: int) -> None:
    """Raise ``QuotaError`` where more than ``most`` audits of a project have not ended.

    The one that is being handed in is among them.
    """
    if not most:
        return
    row, end = SubmissionRow, OutcomeRow
    ended = select(end.submission).where(end.submission == row.id).exists()
    asked = select(row.id).where(row.project == project, ~ended).limit(most + 1)
    if len(session.scalars(asked).all()) > most:
        raise QuotaError(
            f"project {project} has {most} audits that have not ended, which is its limit",
            cure="Wait until some have ended, or cancel audits that you do not need.",
        )


@dataclass(frozen=True, slots=True)
class UploadTally:
    """Knows how much projects have without counting it for every file that comes.

    It adds up what this process let in since it counted last, and counts again where that would be
    too much, and now and then for what others let in.
    """

    _known: dict[str, tuple[int, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def over(self, project: str, length: int, quota: int, count: Callable[[], int]) -> int | None:
        """Return how much a project has where ``length`` more is over ``quota``, else ``None``."""
        with self._lock:
            there, counted = self._known.get(project, (0, 0.0))
            now = time.monotonic()
            if there + length > quota or not counted or now - counted > FRESH:
                there, counted = count(), now
            fits = there + length <= quota
            self._known[project] = (there + length if fits else there, counted)
        return None if fits else there
