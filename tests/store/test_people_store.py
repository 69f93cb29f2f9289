"""What a service keeps of people: once each, in order, apart by project, and never changed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.service.domain.people import BlindLabels, DecisionKind, Person, SignedDecision
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionResult
from auditor.service.store.audit_queries import find_newest_record
from auditor.service.store.people import (
    DecisionQuery,
    ModelRecordQuery,
    PeopleStore,
    RejudgementStore,
    keep_decision,
    list_statements,
)
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.trends import TrendStore
from auditor.store.record_store import RecordStore

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
ANNA = Person(
    id="per-1", project="mine", name="Anna", key="PEM", created=NOW,
    may=frozenset({DecisionKind.WAIVER, DecisionKind.APPROVAL}),
)  # fmt: skip
RECORD = compute_digest(b"a record")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Give the URL of a database without any table."""
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def people(store: RecordStore) -> PeopleStore:
    for name in ("mine", "theirs"):
        ServiceStore(store).add_project(name, NOW)
    found = PeopleStore(store)
    assert found.add(ANNA, "k1")
    return found


def decision(number: int, **changes: object) -> SignedDecision:
    raw = b"bundle %d" % number
    usual = SignedDecision(
        project="mine", digest=compute_digest(raw), kind=DecisionKind.APPROVAL, person=ANNA.id,
        bundle=raw, key=ANNA.key, at=NOW, by="k1", record=RECORD,
    )  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]  # each test names real fields


def keep(people: PeopleStore, item: SignedDecision) -> bool:
    with people.store.unit_of_work() as work:
        return keep_decision(work.session, item)


def test_a_person_is_found_in_the_own_project_until_ended_and_then_says_so(
    people: PeopleStore,
) -> None:
    assert not people.add(replace(ANNA, id="per-2"), "k1")
    assert people.add(replace(ANNA, id="per-3", project="theirs"), "k2")
    assert people.person("mine", "per-1") == people.holder("mine", "PEM") == ANNA
    assert people.person("theirs", "per-1") is None
    assert people.end("per-1", LATER, "left", "k1")
    assert not people.end("per-1", LATER, "again", "k1")
    (found,) = people.all("mine")
    assert (found.ended, found.reason) == (LATER, "left")


def test_decisions_are_kept_once_in_order_and_apart_by_project(people: PeopleStore) -> None:
    assert [keep(people, decision(number)) for number in (1, 2, 3, 2)] == [True, True, True, False]
    there = replace(ANNA, id="per-3", project="theirs")
    people.add(there, "k2")
    for number in (3, 4):
        assert keep(people, decision(number, project="theirs", person="per-3"))
    newest = people.decisions("mine", DecisionQuery(kind=DecisionKind.APPROVAL, limit=2))
    assert [item.number for item in newest] == [3, 2]
    every = people.decisions("mine", DecisionQuery(limit=9))
    assert [item.number for item in every] == [3, 2, 1]
    rest = DecisionQuery(kind=DecisionKind.APPROVAL, before=2)
    assert [item.number for item in people.decisions("mine", rest)] == [1]
    oldest = people.about("mine", DecisionKind.APPROVAL, (RECORD,))
    assert [item.bundle for item in oldest] == [b"bundle 1", b"bundle 2", b"bundle 3"]
    said = list_statements(people.store, "mine", (RECORD,))
    assert said.elsewhere == {decision(4).digest}
    assert said.about(DecisionKind.APPROVAL, {RECORD}) == oldest
    assert said.about(DecisionKind.FINDING, {RECORD}) == ()
    assert said.about(DecisionKind.APPROVAL, {"another"}) == ()
    assert people.decision("mine", DecisionKind.WAIVER, decision(1).digest) is None
    assert people.decision("mine", DecisionKind.APPROVAL, decision(4).digest) is None


def test_the_first_labels_stand_and_no_row_is_ever_changed(people: PeopleStore, url: str) -> None:
    first = BlindLabels(
        record=RECORD, person=ANNA.id, labels={"r1": "yes"}, truth=1, model=0, at=NOW, by="k1"
    )
    assert people.label("mine", first) == first
    assert people.label("mine", replace(first, labels={"r1": "no"}, truth=0)) == first
    assert people.labels("mine", RECORD) == {ANNA.id: first}
    assert people.labels("theirs", RECORD) == {}
    keep(people, decision(1))
    people.end(ANNA.id, LATER, "left", "k1")
    engine = create_engine(url)
    for change in (
        "UPDATE people_persons SET name = 'Eve'", "DELETE FROM people_ends",
        "DELETE FROM people_decisions", "UPDATE people_labels SET body = ''",
    ):  # fmt: skip
        with engine.connect() as connection, pytest.raises(DBAPIError, match="never changed"):
            connection.execute(text(change))
    engine.dispose()


def test_later_records_of_a_submission_are_found_in_its_own_project(
    people: PeopleStore, make_record: Callable[..., AuditRecord]
) -> None:
    service, later = ServiceStore(people.store), RejudgementStore(people.store)
    first, second = make_record(), make_record(id="r-2", finished=LATER)
    with people.store.unit_of_work() as work:
        work.register(first.request, NOW)
        for record in (first, second):
            work.save(record, b"bundle")
    submission = Submission(
        id=f"sub-{1:024x}",
        project="mine",
        submitter="k1",
        submitted=NOW,
        order=AuditOrder(
            audit_file=compute_digest(b"audit"),
            source="audit.yaml",
            inputs=(),
            policy=compute_digest(b"policy"),
            targets=("cpu",),
        ),
    )
    service.submit(submission, None)
    files = compute_digest(b"manifest")
    service.end(submission.id, SubmissionResult(ended=LATER, record=first.digest, files=files))
    assert later.last(submission.id) is None
    made = later.add(submission.id, second.digest, files, LATER)
    assert [it.number for it in later.of(submission.id)] == [0, 1]
    assert later.of(submission.id)[-1] == made
    TrendStore(people.store).note(submission.id, "mine", first)
    assert find_newest_record(people.store, "mine", first.request.name) == second.digest
    last = later.last(submission.id)
    assert last is not None
    assert (last.record, last.body, last.files) == (second.digest, second.canonical(), files)
    for record in (first, second):
        found = later.record("mine", record.digest)
        assert found is not None
        assert (found.submission, found.record) == (submission.id, record.digest)
        assert later.record("theirs", record.digest) is None
    request = first.request
    like = ModelRecordQuery("mine", request.name, None, request.policy.digest)
    assert [item.record for item in later.first_like(like)] == [first.digest]
    assert later.first_like(replace(like, project="theirs")) == ()
    assert later.first_like(replace(like, artifact=compute_digest(b"other"))) == ()
    (ended,) = later.unpassed(["mine"], NOW)
    assert (ended.project, ended.submission, ended.ended) == ("mine", submission.id, LATER)
    assert ended.model == request.name
    assert later.unpassed(["theirs"], NOW) == ()
    assert later.unpassed(["mine"], "2026-01-03T00:00:00Z") == ()
