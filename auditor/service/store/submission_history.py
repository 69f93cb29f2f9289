"""Stored submissions: registration, event history, check results, and how each one ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from auditor.domain.json import (
    Json,
    JsonPart,
    encode_canonical,
    parse_json,
    read_json,
    write_fields,
)
from auditor.domain.requests import AuditRequest
from auditor.errors import StoreError
from auditor.service.domain.access import ApiKey, AuditLogEntry
from auditor.service.domain.submissions import (
    ENDED,
    KINDS,
    ShardKey,
    Submission,
    SubmissionEvent,
    SubmissionEventKind,
    SubmissionFailure,
    SubmissionResult,
    SubmissionState,
    UploadedFile,
    UploadKind,
)
from auditor.service.domain.webhooks import WebhookEvent
from auditor.service.store import projects, submission_backlog, submission_rows
from auditor.service.store.exceptions import ExceptionCache
from auditor.service.store.projects import log_change
from auditor.service.store.submission_rows import STATES
from auditor.service.store.tables import (
    OutcomeRow,
    ProjectRow,
    ShardResultRow,
    SubmissionEventRow,
    SubmissionRow,
)
from auditor.service.store.webhook_outbox import queue_webhook_messages
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent

Detail = Mapping[str, Json]


def append_event(
    session: Session, submission: str, kind: str, detail: Detail, at: str
) -> SubmissionEvent:
    """Put an event at the end of a submission's history, and return it.

    A state that it is in already is not told again, and one that has ended never has another: then
    the event by which it came there is returned. Raises ``StoreError`` where there is none such.
    """
    if kind not in KINDS:
        raise StoreError(f"{kind!r} is not a kind of event", cure="Report this as a defect.")
    lock_history(session, submission)
    last = _last_state(session, submission)
    if (
        kind in STATES
        and last is not None
        and (kind == last.kind or SubmissionState(last.kind) in ENDED)
    ):
        return last
    return _put(session, submission, kind, detail, at)


def append_event_if_open(
    session: Session, submission: str, kind: SubmissionEventKind, detail: Detail, at: str
) -> SubmissionState:
    """Put an event at the end of a history unless that has ended; return how far it is."""
    lock_history(session, submission)
    state = find_state(session, submission)
    if state not in ENDED:
        _put(session, submission, kind, detail, at)
    return state


def _put(session: Session, submission: str, kind: str, detail: Detail, at: str) -> SubmissionEvent:
    row = SubmissionEventRow
    numbers = select(func.coalesce(func.max(row.number), 0)).where(row.submission == submission)
    number = int(session.scalar(numbers) or 0) + 1
    body = encode_canonical(detail).decode()
    session.add(row(submission=submission, number=number, at=at, kind=kind, detail=body))
    session.flush()
    return SubmissionEvent(submission=submission, number=number, at=at, kind=kind, detail=detail)


def list_events_after(
    session: Session, submission: str, after: int, limit: int
) -> tuple[SubmissionEvent, ...]:
    """Return the events whose number is above ``after``, in order."""
    row = SubmissionEventRow
    # Columns, no objects: a long history is read over and over while it grows
    asked = select(row.submission, row.number, row.at, row.kind, row.detail).where(
        row.submission == submission, row.number > after
    )
    return tuple(
        read_event_row(item) for item in session.execute(asked.order_by(row.number).limit(limit))
    )


def find_state(session: Session, submission: str) -> SubmissionState:
    """Return how far a submission is. Raises ``StoreError`` where there is none such."""
    last = _last_state(session, submission)
    if last is None:
        raise build_missing_submission_error(submission)
    return SubmissionState(last.kind)


def keep_result(
    session: Session, key: ShardKey, body: bytes, at: str, said: Detail | None
) -> tuple[bytes, bool]:
    """Keep what a check saw, unless it was kept before; return what is kept, and if that is new.

    With ``said``, an event that the check has ended goes with the first.
    """
    lock_history(session, key.submission)
    columns = {
        "submission": key.submission,
        "target": key.target,
        "check_id": key.check,
        "shard": key.shard,
    }
    if insert_if_absent(session, ShardResultRow, **columns, body=body, at=at):
        if said is not None:
            append_event(session, key.submission, SubmissionEventKind.CHECK_ENDED, said, at)
        return body, True
    return find_result(session, key) or body, False


def find_result(session: Session, key: ShardKey) -> bytes | None:
    """Return what is kept under a key, if anything is."""
    row = session.get(ShardResultRow, (key.submission, key.target, key.check, key.shard))
    return None if row is None else row.body


def list_results(session: Session, submission: str) -> dict[ShardKey, bytes]:
    """Return everything that the checks of a submission saw so far."""
    asked = select(ShardResultRow).where(ShardResultRow.submission == submission)
    return {
        ShardKey(
            submission=submission, target=row.target, check=row.check_id, shard=row.shard
        ): row.body
        for row in session.scalars(asked)
    }


def count_results(session: Session, submission: str, target: str) -> int:
    """Return how many checks of a submission have a result on a target."""
    row = ShardResultRow
    asked = select(func.count()).where(row.submission == submission, row.target == target)
    return int(session.scalar(asked) or 0)


def keep_ending(session: Session, submission: str, ending: SubmissionResult) -> bool:
    """Let a submission end, unless it has ended before; its last event says so too."""
    lock_history(session, submission)
    failure = ending.failure
    first = insert_if_absent(
        session,
        OutcomeRow,
        submission=submission,
        record_digest=ending.record,
        files=ending.files,
        error=None if failure is None else encode_canonical(failure.to_json()).decode(),
        ended=ending.ended,
    )
    if first:
        append_event(session, submission, ending.state, ending.detail, ending.ended)
        # Queue what web hooks hear of an audit that came to a record, or failed
        event = {
            SubmissionState.DONE: WebhookEvent.AUDIT_DONE,
            SubmissionState.FAILED: WebhookEvent.AUDIT_FAILED,
        }.get(ending.state)
        row = session.get(SubmissionRow, submission)
        if event is not None and row is not None:
            queue_webhook_messages(session, row.project, event, submission, ending.ended)
    return first


def find_ending(session: Session, submission: str) -> SubmissionResult | None:
    """Return how a submission ended, if it has."""
    row = session.get(OutcomeRow, submission)
    return None if row is None else read_ending(row)


def read_ending(row: OutcomeRow) -> SubmissionResult:
    """Return what a row says of how a submission ended."""
    failure = read_failure(row.error)
    return SubmissionResult(
        ended=row.ended, record=row.record_digest, files=row.files, failure=failure
    )


def read_failure(error: str | None) -> SubmissionFailure | None:
    """Return what a row says of why a submission failed, if it did."""
    if error is None:
        return None
    return read_json(SubmissionFailure, parse_json(error.encode()), "error")


def lock_history(session: Session, submission: str) -> None:
    """Let nobody else append to a history before this transaction ends."""
    row = SubmissionRow
    asked = select(row.id).where(row.id == submission).with_for_update()
    if session.scalar(asked) is None:
        raise build_missing_submission_error(submission)


def _last_state(session: Session, submission: str) -> SubmissionEvent | None:
    row = SubmissionEventRow
    asked = (
        select(row)
        .where(row.submission == submission, row.kind.in_(STATES))
        .order_by(row.number.desc())
        .limit(1)
    )
    found = session.scalar(asked)
    return None if found is None else read_event_row(found)


def read_event_row(row: SubmissionEventRow | Row[str, int, str, str, str]) -> SubmissionEvent:
    """Read a line of a history."""
    detail = JsonPart(parse_json(row.detail.encode()), "detail").value
    return SubmissionEvent(
        submission=row.submission, number=row.number, at=row.at, kind=row.kind, detail=detail
    )


def build_missing_submission_error(name: str) -> StoreError:
    """Return the error that there is no such submission."""
    return StoreError(f"there is no submission {name[:80]!r}", cure="Submit it first.")


REQUEST, FINISHED = "request", "finished"
"""What is kept once for a whole submission, beside what its checks saw."""


@dataclass(frozen=True, slots=True)
class SubmissionRegistration:
    """What a submission asked in full, and when that was registered."""

    at: str
    request: AuditRequest

    @classmethod
    def read(cls, raw: bytes) -> "SubmissionRegistration":
        """Read it back. Raises ``RecordError`` for what is none."""
        return read_json(cls, parse_json(raw), "registration")

    def emit(self) -> bytes:
        """Return the form that is kept."""
        return encode_canonical(write_fields(self))


@dataclass(frozen=True, slots=True)
class ServiceStore:
    """What a service keeps, in the database of ``store``. Every method is a transaction of its own.

    Times are UTC (RFC 3339). Every method raises ``StoreError`` when the database refuses. Whatever
    belongs to a project is asked for with the project; ``None`` is for workers alone. Of it the
    ledger has an audit's request and its record, which ``store`` keeps, and the acts that are given
    along with a change: one that changed nothing is not written down.
    """

    store: RecordStore
    exceptions: ExceptionCache = field(default_factory=ExceptionCache)

    def add_project(self, name: str, at: str, act: AuditLogEntry | None = None) -> bool:
        """Make a project, and say whether it is new."""
        with self.store.unit_of_work() as work:
            new = insert_if_absent(work.session, ProjectRow, name=name, created=at)
            return log_change(work, act, changed=new)

    def projects(self) -> tuple[tuple[str, str], ...]:
        """Return every project with when it was made, the oldest first."""
        with self.store.reading() as session:
            return projects.list_projects(session)

    def add_key(self, key: ApiKey, act: AuditLogEntry | None = None) -> None:
        """Keep a caller's key. Raises ``SubmissionError`` where there is no such project."""
        with self.store.unit_of_work() as work:
            if not log_change(work, act, changed=projects.keep_key(work.session, key)):
                raise StoreError(
                    f"there is already an API key {key.id}", cure="Use another ID for the new one."
                )

    def end_key(self, key_id: str, at: str, reason: str, act: AuditLogEntry | None = None) -> bool:
        """End a key for good, and say whether it was still in use."""
        with self.store.unit_of_work() as work:
            ended = projects.end_key(work.session, key_id, at, reason)
            return log_change(work, act, changed=ended)

    def key(self, key_id: str) -> ApiKey | None:
        """Return the key of an id; one that has ended says when."""
        with self.store.reading() as session:
            return projects.find_key(session, key_id)

    def ended_keys(self) -> int:
        """Return how many keys of all projects have been ended: ends are only ever added."""
        with self.store.reading() as session:
            return projects.count_ended_keys(session)

    def keys(self, project: str) -> tuple[ApiKey, ...]:
        """Return the keys of a project, the oldest first."""
        with self.store.reading() as session:
            return projects.list_keys(session, project)

    def note_upload(self, upload: UploadedFile) -> bool:
        """Write down that a project has a file, and say whether that is new."""
        with self.store.transaction() as session:
            return projects.keep_upload(session, upload)

    def uploads(
        self, project: str, kind: UploadKind, cursor: str | None = None, limit: int = 50
    ) -> tuple[tuple[UploadedFile, ...], str]:
        """Return uploads in the order of their digests, and the cursor of what follows, if any."""
        with self.store.reading() as session:
            found = projects.list_uploads(session, project, kind, cursor, limit + 1)
        return found[:limit], found[limit - 1].digest if len(found) > limit else ""

    def stored(self, project: str) -> int:
        """Return how many bytes a project has uploaded."""
        with self.store.reading() as session:
            return projects.sum_upload_bytes(session, project)

    def has_upload(self, project: str, digest: str) -> bool:
        """Whether a project brought the bytes of a digest."""
        with self.store.reading() as session:
            return projects.has_upload(session, project, digest)

    def upload_name(self, project: str, digest: str, kind: UploadKind) -> str | None:
        """Return the name under which a project brought the bytes of a digest first, if it did."""
        with self.store.reading() as session:
            return projects.find_upload_name(session, project, digest, kind)

    def submit(  # noqa: PLR0913 -- a submission, and all that is kept with it
        self,
        submission: Submission,
        idempotency_key: str | None,
        *,
        model: str = "",
        most: int = 0,
        act: AuditLogEntry | None = None,
        held: Mapping[str, Json] | None = None,
    ) -> tuple[Submission, bool]:
        """Keep a submission, or return the one made under the same key before; new ones are queued.

        ``model`` is the name to list it by. One that is ``held`` waits from the start, and is not
        queued: that says for what, and until when. Raises ``ConflictError`` where the key was used
        for something else, ``SubmissionError`` where there is no such project, ``QuotaError``
        where ``most`` others of the project have not ended; 0 is any number.
        """
        with self.store.unit_of_work() as work:
            session = work.session
            kept, new = submission_rows.keep_submission(session, submission, idempotency_key, model)
            if log_change(work, act, changed=new):
                projects.refuse_excess_submissions(session, kept.project, most)
                state = SubmissionState.QUEUED if held is None else SubmissionState.WAITING
                append_event(session, kept.id, state, held or {}, kept.submitted)
        return kept, new

    def was_submitted(self, project: str, idempotency_key: str) -> bool:
        """Whether a project made a submission under a key before."""
        with self.store.reading() as session:
            return (
                submission_rows.find_submission_by_key(session, project, idempotency_key)
                is not None
            )

    def submission(self, project: str | None, name: str) -> Submission | None:
        """Return a submission by its id."""
        with self.store.reading() as session:
            return submission_rows.find_submission(session, project, name)

    def owner(self, submission: str) -> str:
        """Return the project of a submission, and nothing where there is none."""
        found = self.submission(None, submission)
        return "" if found is None else found.project

    def unended(self) -> tuple[Submission, ...]:
        """Return the submissions of all projects that have not ended, the oldest first."""
        with self.store.reading() as session:
            return submission_backlog.list_open_submissions(session)

    def state(self, submission: str) -> SubmissionState:
        """Return how far a submission is."""
        with self.store.reading() as session:
            return find_state(session, submission)

    def append(
        self, submission: str, kind: str, detail: Mapping[str, Json], at: str
    ) -> SubmissionEvent:
        """Put an event at the end of a submission's history, and return it.

        A state that it is in already is not told again, and one that has ended never has another:
        then the event by which it came there is returned.
        """
        with self.store.transaction() as session:
            return append_event(session, submission, kind, detail, at)

    def tell(
        self, submission: str, kind: SubmissionEventKind, detail: Mapping[str, Json], at: str
    ) -> SubmissionState:
        """Put an event at the end of a history that has not ended, and return how far it is."""
        with self.store.transaction() as session:
            return append_event_if_open(session, submission, kind, detail, at)

    def events(
        self, submission: str, after: int = 0, limit: int = 1000
    ) -> tuple[SubmissionEvent, ...]:
        """Return the events whose number is above ``after``, in order."""
        with self.store.reading() as session:
            return list_events_after(session, submission, after, limit)

    def put_result(
        self, key: ShardKey, body: bytes, at: str, said: Mapping[str, Json] | None = None
    ) -> bytes:
        """Keep what a check saw and return what is kept, which is what came first.

        With ``said``, an event ``check_ended`` of that detail goes with the first, and only then.
        """
        with self.store.transaction() as session:
            return keep_result(session, key, body, at, said)[0]

    def result(self, key: ShardKey) -> bytes | None:
        """Return what a check saw, if it was kept."""
        with self.store.reading() as session:
            return find_result(session, key)

    def registered(self, submission: str) -> SubmissionRegistration:
        """Return what was registered for a submission, and when.

        Raises ``StoreError`` where nothing was.
        """
        kept = self.result(build_submission_key(submission, REQUEST))
        if kept is None:
            raise StoreError(f"{submission} was not registered", cure="Plan it first.")
        return SubmissionRegistration.read(kept)

    def finish(self, submission: str, at: str) -> str:
        """Say when an audit was finished, once, and return when that was."""
        return self.put_result(build_submission_key(submission, FINISHED), at.encode(), at).decode()

    def seen(self, submission: str, target: str) -> int:
        """Return how many checks of a submission have a result on a target."""
        with self.store.reading() as session:
            return count_results(session, submission, target)

    def results(self, submission: str) -> Mapping[ShardKey, bytes]:
        """Return everything that the checks of a submission saw so far.

        What is said once of all targets stands under an empty one.
        """
        with self.store.reading() as session:
            return list_results(session, submission)

    def end(
        self, submission: str, ending: SubmissionResult, act: AuditLogEntry | None = None
    ) -> bool:
        """Let a submission end, and say whether it had not; its last event tells the state."""
        with self.store.unit_of_work() as work:
            changed = keep_ending(work.session, submission, ending)
            return log_change(work, act, changed=changed)

    def fail(self, submission: str, problem: str, cure: str, at: str) -> bool:
        """Let a submission end without what it was to give, and say whether it had not ended."""
        return self.end(
            submission,
            SubmissionResult(ended=at, failure=SubmissionFailure(problem=problem, cure=cure)),
        )

    def outcome(self, submission: str) -> SubmissionResult | None:
        """Return how a submission ended, if it has."""
        with self.store.reading() as session:
            return find_ending(session, submission)


def build_submission_key(submission: str, what: str) -> ShardKey:
    """Return the key of what is kept once for a whole submission."""
    return ShardKey(submission=submission, target="", check=what)
