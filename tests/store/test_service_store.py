"""What the service keeps: once each, in order, apart by project, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import column as sa_column
from sqlalchemy import create_engine, delete, update
from sqlalchemy import table as sa_table
from sqlalchemy.exc import DBAPIError

from auditor.domain.json import Json, compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt
from auditor.errors import ConflictError, StoreError, SubmissionError, UsageError
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.submissions import (
    AuditOrder,
    ShardKey,
    Submission,
    SubmissionEventKind,
    SubmissionFailure,
    SubmissionResult,
    SubmissionState,
    UploadedFile,
    UploadKind,
)
from auditor.service.store.audit_attempts import AttemptStore
from auditor.service.store.audit_queries import AuditListQueries, AuditQuery
from auditor.service.store.submission_backlog import SubmissionBacklog
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
KEY = ApiKey(
    id="k1",
    project="mine",
    role=AccessRole.SUBMITTER,
    name="ci",
    secret_hash="ab" * 32,
    created=NOW,
)


def listed(
    service: ServiceStore,
    project: str,
    *,
    state: SubmissionState | None = None,
    model: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> tuple[tuple[tuple[str, SubmissionState], ...], str]:
    states = () if state is None else (state,)
    sought = AuditQuery(project=project, states=states, model=model, cursor=cursor, limit=limit)
    found, following = AuditListQueries(service).audits(sought)
    return tuple((item.id, item.state) for item in found), following


def submission(number: int = 1, **changes: Json) -> Submission:
    usual = Submission(
        id=f"sub-{number:024x}",
        project="mine",
        submitter="k1",
        submitted=f"2026-01-{number:02d}T00:00:00Z",
        order=AuditOrder(
            audit_file=compute_digest(b"audit"),
            source="audit.yaml",
            inputs=(),
            policy=compute_digest(b"policy"),
            targets=("cpu",),
        ),
    )
    return Submission.from_json(usual.to_json() | changes)


SUB = submission()
SHARD = ShardKey(submission=SUB.id, target="cpu", check="quality.accuracy")


@pytest.fixture
def service(store: RecordStore) -> ServiceStore:
    """Open an empty store with two projects, one of which has a caller."""
    kept = ServiceStore(store)
    for name in ("mine", "theirs"):
        assert kept.add_project(name, NOW)
    kept.add_key(KEY)
    return kept


def kinds(service: ServiceStore) -> list[str]:
    return [event.kind for event in service.events(SUB.id)]


def test_a_key_is_found_until_it_is_ended_and_then_says_so(service: ServiceStore) -> None:
    assert not service.add_project("mine", LATER)
    assert service.key("k1") == KEY
    assert service.key("k2") is None
    assert service.end_key("k1", LATER, "lost")
    assert not service.end_key("k1", "2027-01-01T00:00:00Z", "again")
    assert service.keys("mine") == (replace(KEY, ended=LATER),)
    assert service.keys("theirs") == ()


def test_a_key_is_never_replaced_and_needs_a_project(service: ServiceStore) -> None:
    with pytest.raises(StoreError, match="there is already an API key k1"):
        service.add_key(replace(KEY, role=AccessRole.ADMIN))
    with pytest.raises(SubmissionError, match="no project 'nobody'"):
        service.add_key(replace(KEY, id="k2", project="nobody"))


def test_uploads_are_a_projects_own_and_come_a_page_at_a_time(service: ServiceStore) -> None:
    files = sorted(compute_digest(bytes([i])) for i in range(5))
    made = [
        UploadedFile(
            project="mine", digest=name, kind=UploadKind.DATASET, name="x", size=2**40, at=NOW
        )
        for name in files
    ]
    assert [service.note_upload(item) for item in made] == [True] * 5
    assert not service.note_upload(replace(made[0], name="y.npz", at=LATER))
    assert service.note_upload(replace(made[0], kind=UploadKind.ARTIFACT))
    page, cursor = service.uploads("mine", UploadKind.DATASET, limit=3)
    rest, end = service.uploads("mine", UploadKind.DATASET, cursor, limit=3)
    assert (*page, *rest) == tuple(made)
    assert end == ""
    assert service.uploads("theirs", UploadKind.DATASET) == ((), "")
    assert service.has_upload("mine", files[0])
    assert not service.has_upload("theirs", files[0])


def test_a_submission_sent_again_is_the_same_one(service: ServiceStore) -> None:
    assert service.submit(SUB, "once") == (SUB, True)
    again = submission(2, submitter="k2")
    assert service.submit(again, "once") == (SUB, False)
    assert service.submit(SUB, None) == (SUB, False)
    assert service.submission(None, again.id) is None
    assert kinds(service) == ["queued"]


def test_a_key_used_for_something_else_is_a_conflict(service: ServiceStore) -> None:
    service.submit(SUB, "once")
    with pytest.raises(ConflictError, match="'once' was used for another"):
        service.submit(submission(2, targets=["edge"]), "once")
    with pytest.raises(ConflictError):
        service.submit(submission(targets=["edge"]), "twice")
    with pytest.raises(SubmissionError, match="no project"):
        service.submit(submission(3, project="nobody"), None)
    # Another project's keys are its own.
    other = submission(4, project="theirs", targets=["edge"])
    assert service.submit(other, "once") == (other, True)


def test_nobody_sees_what_another_project_submitted(service: ServiceStore) -> None:
    service.submit(SUB, None)
    assert service.submission("mine", SUB.id) == service.submission(None, SUB.id) == SUB
    assert service.submission("theirs", SUB.id) is None
    assert listed(service, "theirs") == ((), "")


def test_submissions_are_listed_newest_first_by_state_and_model(service: ServiceStore) -> None:
    made = [submission(number) for number in range(1, 6)]
    for item in made:
        service.submit(item, None, model="digits" if item.id[-1] in "12" else "credit")
    service.append(made[1].id, SubmissionState.RUNNING, {}, LATER)
    first, cursor = listed(service, "mine", limit=3)
    rest, end = listed(service, "mine", cursor=cursor, limit=3)
    assert [name for name, _ in (*first, *rest)] == [item.id for item in reversed(made)]
    assert end == ""
    assert listed(service, "mine", state=SubmissionState.RUNNING)[0] == (
        (made[1].id, SubmissionState.RUNNING),
    )
    assert len(listed(service, "mine", model="digits", state=SubmissionState.QUEUED)[0]) == 1
    with pytest.raises(UsageError, match="is not a cursor of this list"):
        listed(service, "theirs", cursor=made[0].id)


def test_a_standing_says_what_the_history_says_and_nothing_else(
    service: ServiceStore, make_record: Callable[..., AuditRecord], url: str
) -> None:
    for number in (1, 2, 3):
        service.submit(submission(number), None, model="digits")
    record, first, second = make_record(), submission(1), submission(2)
    with service.store.unit_of_work() as unit:
        unit.register(record.request, NOW)
        unit.save(record, b"bundle")
    done = SubmissionResult(ended=LATER, record=record.digest, files=compute_digest(b"manifest"))
    service.end(first.id, done)
    assert (
        service.tell(second.id, SubmissionEventKind.PROGRESS, {"done": 1}, NOW)
        is SubmissionState.QUEUED
    )
    service.append(second.id, SubmissionState.RUNNING, {}, NOW)
    standings = SubmissionBacklog(service.store)
    overviews = AuditListQueries(service)
    (third, _, found), following = overviews.audits(AuditQuery(project="mine", model="digits"))
    assert following == ""
    assert (found.id, found.state, found.ended) == (first.id, SubmissionState.DONE, LATER)
    assert (found.record, found.verdict) == (record.digest, record.verdict.value)
    assert overviews.line("mine", submission(3).id) == third
    assert (third.state, third.record, third.verdict) == (SubmissionState.QUEUED, None, None)
    assert standings.unended(SubmissionState.RUNNING) == (second,)
    assert [
        standings.counted()[it] for it in (SubmissionState.QUEUED, SubmissionState.RUNNING)
    ] == [1, 1]
    # What has ended is told nothing more.
    assert (
        service.tell(first.id, SubmissionEventKind.PROGRESS, {"done": 2}, LATER)
        is SubmissionState.DONE
    )
    assert kinds(service) == ["queued", "done"]
    rows = sa_table("submission_standings", sa_column("state"))
    engine = create_engine(url)
    for change in (delete(rows), update(rows).values(state="failed")):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="never changed"):
            connection.execute(change)
    engine.dispose()


def test_a_history_tells_each_state_once_and_ends_once(service: ServiceStore) -> None:
    service.submit(SUB, None)
    for _ in range(2):
        service.append(SUB.id, SubmissionState.RUNNING, {}, LATER)
        service.append(SUB.id, SubmissionEventKind.NOTE, {"text": "hello"}, LATER)
    failed = SubmissionResult(
        ended=LATER, failure=SubmissionFailure(problem="it broke", cure="Mend it.")
    )
    assert service.outcome(SUB.id) is None
    assert service.unended() == (SUB,)
    assert service.end(SUB.id, failed)
    assert not service.end(SUB.id, SubmissionResult(ended=LATER))
    assert service.append(SUB.id, SubmissionState.RUNNING, {}, LATER).kind == "failed"
    assert service.unended() == ()
    assert service.state(SUB.id) is SubmissionState.FAILED
    assert service.outcome(SUB.id) == failed
    assert kinds(service) == ["queued", "running", "note", "note", "failed"]
    last = service.events(SUB.id, after=4)
    assert [(item.number, item.detail) for item in last] == [
        (5, {"problem": "it broke", "cure": "Mend it."})
    ]
    assert len(service.events(SUB.id, limit=2)) == 2


def test_a_submission_is_done_with_a_record_that_is_kept(
    service: ServiceStore, make_record: Callable[..., AuditRecord]
) -> None:
    service.submit(SUB, None)
    record = make_record()
    done = SubmissionResult(ended=LATER, record=record.digest, files=compute_digest(b"manifest"))
    with pytest.raises(StoreError):
        service.end(SUB.id, done)
    with service.store.unit_of_work() as unit:
        unit.register(record.request, NOW)
        unit.save(record, b"bundle")
    assert service.end(SUB.id, done)
    assert service.state(SUB.id) is SubmissionState.DONE
    assert service.outcome(SUB.id) == done


def test_what_a_check_saw_first_is_kept(service: ServiceStore) -> None:
    service.submit(SUB, None)
    said = {"target": "cpu", "check": "quality.accuracy"}
    assert service.put_result(SHARD, b"first", NOW, said) == b"first"
    assert service.put_result(SHARD, b"second", LATER, said) == b"first"
    other = replace(SHARD, shard="1")
    service.put_result(other, b"other", NOW)
    assert service.results(SUB.id) == {SHARD: b"first", other: b"other"}
    assert kinds(service) == ["queued", "check_ended"]


def test_what_is_asked_is_registered_once_however_often_it_is_planned(
    service: ServiceStore, make_record: Callable[..., AuditRecord]
) -> None:
    service.submit(SUB, None)
    request = make_record().request
    with pytest.raises(StoreError, match="was not registered"):
        service.registered(SUB.id)
    assert AttemptStore(service.store).register(SUB, request, NOW)
    assert not AttemptStore(service.store).register(SUB, request, LATER)
    assert service.registered(SUB.id).at == NOW
    counted = replace(request, attempt=AuditAttempt(number=1))
    assert service.registered(SUB.id).request.digest == counted.digest
    assert [service.finish(SUB.id, at) for at in (NOW, LATER)] == [NOW, NOW]
    with service.store.ledger() as ledger:
        assert ledger.head().size == 1


def test_what_nobody_submitted_has_no_history(service: ServiceStore) -> None:
    for refused in (
        lambda: service.append(SUB.id, SubmissionEventKind.NOTE, {}, NOW),
        lambda: service.put_result(SHARD, b"x", NOW),
        lambda: service.state(SUB.id),
        lambda: service.end(SUB.id, SubmissionResult(ended=NOW)),
    ):
        with pytest.raises(StoreError, match="there is no submission"):
            refused()
    service.submit(SUB, None)
    with pytest.raises(StoreError, match="is not a kind of event"):
        service.append(SUB.id, "gone", {}, NOW)


def test_many_at_once_number_their_events_without_a_gap_and_keep_one_result(
    service: ServiceStore,
) -> None:
    def everything(number: int) -> tuple[bool, bytes]:
        new = service.submit(submission(number + 10), "once")[1]
        kept = listed(service, "mine")[0][0][0]
        service.append(kept, SubmissionEventKind.NOTE, {}, NOW)
        return new, service.put_result(replace(SHARD, submission=kept), bytes([number]), NOW)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(everything, range(8)))
    assert sum(new for new, _ in found) == 1
    assert len({body for _, body in found}) == 1
    ((kept, _),), _ = listed(service, "mine")
    numbers = [event.number for event in service.events(kept)]
    assert numbers == list(range(1, 10))


COLUMNS = {
    "projects": "created", "api_keys": "role", "api_key_ends": "reason", "uploads": "name",
    "submissions": "body", "submission_events": "detail", "shard_results": "at",
    "outcomes": "error",
}  # fmt: skip


def test_no_row_is_ever_changed_or_deleted(service: ServiceStore, url: str) -> None:
    service.end_key("k1", NOW, "lost")
    service.note_upload(
        UploadedFile(project="mine", digest="d", kind=UploadKind.DATASET, name="x", size=1, at=NOW)
    )
    service.submit(SUB, None)
    service.put_result(SHARD, b"x", NOW)
    service.end(SUB.id, SubmissionResult(ended=NOW))
    engine = create_engine(url)
    for table, column in COLUMNS.items():
        rows = sa_table(table, sa_column(column))
        for change in (delete(rows), update(rows).values({column: "x"})):
            with engine.connect() as connection, pytest.raises(DBAPIError, match="never changed"):
                connection.execute(change)
    engine.dispose()
