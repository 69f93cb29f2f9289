"""What happened to a submission: its events, what its checks saw, and how it ended."""

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.hooks import Told
from auditor.domain.json_parts import Part
from auditor.domain.served import Ending, Failure
from auditor.domain.submissions import ENDED, KINDS, Event, Said, ShardKey, State
from auditor.errors import StoreError
from auditor.store.service.adding import added
from auditor.store.service.announcing import announce
from auditor.store.service.submitted import STATES
from auditor.store.service.tables import (
    OutcomeRow,
    ShardResultRow,
    SubmissionEventRow,
    SubmissionRow,
)

Detail = Mapping[str, Json]


def append(session: Session, submission: str, kind: str, detail: Detail, at: str) -> Event:
    """Put an event at the end of a submission's history, and return it.

    A state that it is in already is not told again, and one that has ended never has another: then
    the event by which it came there is returned. Raises ``StoreError`` where there is none such.
    """
    if kind not in KINDS:
        raise StoreError(f"{kind!r} is no kind of event", cure="Report this as a defect.")
    lock(session, submission)
    last = _last_state(session, submission)
    if kind in STATES and last is not None and (kind == last.kind or State(last.kind) in ENDED):
        return last
    return _put(session, submission, kind, detail, at)


def tell(session: Session, submission: str, kind: Said, detail: Detail, at: str) -> State:
    """Put an event at the end of a history unless that has ended; return how far it is."""
    lock(session, submission)
    state = state_of(session, submission)
    if state not in ENDED:
        _put(session, submission, kind, detail, at)
    return state


def _put(session: Session, submission: str, kind: str, detail: Detail, at: str) -> Event:
    row = SubmissionEventRow
    numbers = select(func.coalesce(func.max(row.number), 0)).where(row.submission == submission)
    number = int(session.scalar(numbers) or 0) + 1
    body = canonical(detail).decode()
    session.add(row(submission=submission, number=number, at=at, kind=kind, detail=body))
    session.flush()
    return Event(submission=submission, number=number, at=at, kind=kind, detail=detail)


def events_after(session: Session, submission: str, after: int, limit: int) -> tuple[Event, ...]:
    """Return the events whose number is above ``after``, in order."""
    row = SubmissionEventRow
    asked = select(row).where(row.submission == submission, row.number > after)
    return tuple(
        event_of(item) for item in session.scalars(asked.order_by(row.number).limit(limit))
    )


def state_of(session: Session, submission: str) -> State:
    """Return how far a submission is. Raises ``StoreError`` where there is none such."""
    last = _last_state(session, submission)
    if last is None:
        raise no_submission(submission)
    return State(last.kind)


def keep_result(
    session: Session, key: ShardKey, body: bytes, at: str, said: Detail | None
) -> tuple[bytes, bool]:
    """Keep what a check saw, unless it was kept before; return what is kept, and if that is new.

    With ``said``, an event that the check has ended goes with the first.
    """
    lock(session, key.submission)
    columns = {
        "submission": key.submission,
        "target": key.target,
        "check_id": key.check,
        "shard": key.shard,
    }
    if added(session, ShardResultRow, **columns, body=body, at=at):
        if said is not None:
            append(session, key.submission, Said.CHECK_ENDED, said, at)
        return body, True
    return find_result(session, key) or body, False


def find_result(session: Session, key: ShardKey) -> bytes | None:
    """Return what is kept under a key, if anything is."""
    row = session.get(ShardResultRow, (key.submission, key.target, key.check, key.shard))
    return None if row is None else row.body


def results_of(session: Session, submission: str) -> dict[ShardKey, bytes]:
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


def keep_ending(session: Session, submission: str, ending: Ending) -> bool:
    """Let a submission end, unless it has ended before; its last event says so too."""
    lock(session, submission)
    failure = ending.failure
    first = added(
        session,
        OutcomeRow,
        submission=submission,
        record_digest=ending.record,
        files=ending.files,
        error=None if failure is None else canonical(failure.to_json()).decode(),
        ended=ending.ended,
    )
    if first:
        append(session, submission, ending.state, ending.detail, ending.ended)
        _tell(session, submission, ending)
    return first


def ending_of(session: Session, submission: str) -> Ending | None:
    """Return how a submission ended, if it has."""
    row = session.get(OutcomeRow, submission)
    return None if row is None else read_ending(row)


def read_ending(row: OutcomeRow) -> Ending:
    """Return what a row says of how a submission ended."""
    failure = read_failure(row.error)
    return Ending(ended=row.ended, record=row.record_digest, files=row.files, failure=failure)


def read_failure(error: str | None) -> Failure | None:
    """Return what a row says of why a submission failed, if it did."""
    if error is None:
        return None
    part = Part(parse(error.encode()), "error")
    return Failure(problem=part.get("problem", str), cure=part.get("cure", str))


def _tell(session: Session, submission: str, ending: Ending) -> None:
    """Queue what web hooks hear of an audit that came to a record, or failed."""
    event = {State.DONE: Told.AUDIT_DONE, State.FAILED: Told.AUDIT_FAILED}.get(ending.state)
    row = session.get(SubmissionRow, submission)
    if event is not None and row is not None:
        announce(session, row.project, event, submission, ending.ended)


def lock(session: Session, submission: str) -> None:
    """Let nobody else append to a history before this transaction ends."""
    row = SubmissionRow
    asked = select(row.id).where(row.id == submission).with_for_update()
    if session.scalar(asked) is None:
        raise no_submission(submission)


def _last_state(session: Session, submission: str) -> Event | None:
    row = SubmissionEventRow
    asked = (
        select(row)
        .where(row.submission == submission, row.kind.in_(STATES))
        .order_by(row.number.desc())
        .limit(1)
    )
    found = session.scalar(asked)
    return None if found is None else event_of(found)


def event_of(row: SubmissionEventRow) -> Event:
    """Read a line of a history."""
    detail = Part(parse(row.detail.encode()), "detail").value
    return Event(
        submission=row.submission, number=row.number, at=row.at, kind=row.kind, detail=detail
    )


def no_submission(name: str) -> StoreError:
    """Return the error that there is no such submission."""
    return StoreError(f"there is no submission {name[:80]!r}", cure="Submit it first.")
