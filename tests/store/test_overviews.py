"""What lists of audits are made of, on SQLite and on PostgreSQL alike."""

import pytest
from sqlalchemy import insert

from auditor.domain.json import compute_digest
from auditor.service.domain.submissions import (
    AuditOrder,
    Submission,
    SubmissionEventKind,
    SubmissionFailure,
    SubmissionResult,
    SubmissionState,
)
from auditor.service.store.audit_queries import (
    AuditListQueries,
    AuditQuery,
    LatestRecordQueries,
    find_last_event_number,
    read_progress_events,
)
from auditor.service.store.people import RejudgementStore
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore
from auditor.store.tables import RecordRow, RecordTargetRow, RequestRow

pytestmark = pytest.mark.slow
ASKED = compute_digest(b"asked")


def at(day: int) -> str:
    return f"2026-01-{day:02d}T00:00:00Z"


def handed_in(kept: ServiceStore, number: int, model: str) -> str:
    wanted = Submission(
        id=f"sub-{number:024x}",
        project="mine",
        submitter="k",
        submitted=at(number),
        order=AuditOrder(
            audit_file=ASKED, source="audit.yaml", inputs=(), policy=ASKED, targets=("cpu", "npu")
        ),
    )
    return kept.submit(wanted, None, model=model)[0].id


def decided(kept: ServiceStore, number: int, version: str, verdict: str) -> str:
    name, record = handed_in(kept, number, "line"), compute_digest(f"record {number}".encode())
    with kept.store.transaction() as session:
        session.execute(insert(RecordRow).values(
            digest=record, id=record, request_digest=ASKED, verdict=verdict, assurance="A1",
            model_name="line", model_version=version, policy_digest=ASKED, registered=at(number),
            finished=at(number), body=b"{}", bundle=b"{}",
        ))  # fmt: skip
        session.add(RecordTargetRow(record_digest=record, target="cpu", identity=ASKED))
        session.add(RecordTargetRow(record_digest=record, target="npu", identity=None))
    kept.end(name, SubmissionResult(ended=at(number), record=record))
    return name


@pytest.fixture
def kept(store: RecordStore) -> ServiceStore:
    """Keep seven audits: four of one model with records, and one of each other state."""
    found = ServiceStore(store)
    for project in ("mine", "theirs"):
        found.add_project(project, at(1))
    with store.transaction() as session:
        session.add(RequestRow(digest=ASKED, body="{}"))
    for number, (version, verdict) in enumerate(
        [("1", "pass"), ("2", "pass"), ("2", "fail"), ("3", "inconclusive")], 1
    ):
        decided(found, number, version, verdict)
    failure = SubmissionFailure(problem="it broke", cure="fix it")
    found.end(handed_in(found, 5, "broken"), SubmissionResult(ended=at(5), failure=failure))
    found.end(handed_in(found, 6, "line"), SubmissionResult(ended=at(6)))
    found.append(handed_in(found, 7, "next"), SubmissionState.RUNNING, {"targets": ["cpu"]}, at(7))
    return found


def test_every_state_and_verdict_finds_its_own(kept: ServiceStore) -> None:
    overviews = AuditListQueries(kept)

    def found(**sought: object) -> list[int]:
        lines, _ = overviews.audits(AuditQuery(project="mine", **sought))  # type: ignore[arg-type]  # fields
        return [int(line.id[4:], 16) for line in lines]

    assert found() == [7, 6, 5, 4, 3, 2, 1]
    assert found(states=(SubmissionState.DONE,)) == [4, 3, 2, 1]
    assert found(states=(SubmissionState.FAILED,)) == [5]
    assert found(states=(SubmissionState.CANCELLED,)) == [6]
    assert found(states=(SubmissionState.RUNNING, SubmissionState.QUEUED)) == [7]
    assert found(states=(SubmissionState.WAITING,)) == []
    assert found(verdict="pass") == [2, 1]
    assert found(model="line", limit=2) == [6, 4]
    assert found(cursor=f"sub-{4:024x}") == [3, 2, 1]
    assert overviews.audits(AuditQuery(project="theirs")) == ((), "")


def test_what_is_newest_is_found_by_model_version_and_target(kept: ServiceStore) -> None:
    overviews, latest = AuditListQueries(kept), LatestRecordQueries(kept)
    assert [line.problem or line.verdict for line in overviews.troubled("mine", 9)] == [
        "it broke", "inconclusive"]  # fmt: skip
    assert overviews.models("mine") == ("broken", "line", "next")
    assert overviews.any_audit("mine")
    assert not overviews.any_audit("theirs")
    line = overviews.line("mine", f"sub-{4:024x}")
    assert line is not None
    assert (line.version, line.targets) == ("3", ("cpu", "npu"))
    assert overviews.before(line, "mine") == f"sub-{3:024x}"
    assert overviews.line("theirs", line.id) is None
    told = latest.last_of_each("mine", ["line"], 2)
    assert [(one.version, one.verdict) for one in told if one.target == "npu"] == [
        ("3", "inconclusive"), ("2", "fail")]  # fmt: skip
    assert {one.identity for one in latest.last_of_targets("mine")} == {ASKED, None}
    assert len(latest.of_model("mine", "line", 9)) == 8
    assert latest.of_model("theirs", "line", 9) == ()
    assert latest.bodies([told[0].record]) == {told[0].record: b"{}"}


def test_an_audit_that_was_judged_again_is_found_by_its_last_verdict(kept: ServiceStore) -> None:
    overviews, name = AuditListQueries(kept), f"sub-{4:024x}"
    verdicts = ("fail", "pass")
    for number, verdict in enumerate(verdicts, 50):
        record = compute_digest(f"again {number}".encode())
        with kept.store.transaction() as session:
            session.execute(insert(RecordRow).values(
                digest=record, id=record, request_digest=ASKED, verdict=verdict, assurance="A1",
                model_name="line", model_version="3", policy_digest=ASKED, registered=at(9),
                finished=at(4), body=b"{}", bundle=b"{}",
            ))  # fmt: skip
        RejudgementStore(kept.store).add(name, record, ASKED, at(9))
        (line,) = (it for it in overviews.audits(AuditQuery(project="mine"))[0] if it.id == name)
        assert line.verdict == verdict
    passing, _ = overviews.audits(AuditQuery(project="mine", verdict="pass"))
    assert [int(line.id[4:], 16) for line in passing] == [4, 2, 1]
    assert [line.problem for line in overviews.troubled("mine", 9)] == ["it broke"]


def test_a_course_holds_what_counts_and_the_last_of_progress(kept: ServiceStore) -> None:
    name = f"sub-{7:024x}"
    for done in range(150):
        kept.append(name, SubmissionEventKind.PROGRESS, {"done": done}, at(8))
    kept.append(name, SubmissionEventKind.CHECK_ENDED, {}, at(9))
    events = read_progress_events(kept, name)
    assert [event.kind for event in events if event.kind != SubmissionEventKind.PROGRESS] == [
        "queued", "running", "check_ended"]  # fmt: skip
    assert sum(event.kind == SubmissionEventKind.PROGRESS for event in events) == 100
    assert [event.number for event in events] == sorted(event.number for event in events)
    assert find_last_event_number(kept, name) == events[-1].number == 153
