"""Times are written to the second; what happened in one of them still has an order."""

import pytest
from sqlalchemy import insert

from auditor import _time
from auditor._time import generate_id
from auditor.domain.budgets import Budget
from auditor.domain.json import compute_digest, digest_json, encode_canonical
from auditor.domain.requests import AuditRequest
from auditor.service.domain.submissions import ID, AuditOrder, Submission, SubmissionResult
from auditor.service.store.audit_queries import (
    AuditListQueries,
    AuditQuery,
    RecordQuery,
    find_newest_records,
)
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore
from auditor.store.tables import RecordRow, RecordTargetRow, RequestRow

NOW = "2026-01-01T00:00:00Z"
SOUGHT = RecordQuery("mine", compute_digest(b"model"), compute_digest(b"policy"), "cpu")


def test_names_sort_by_when_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1_800_000_000_000_000_000, 1_800_000_001_000_000_000, 7_000_000))
    monkeypatch.setattr(_time.time, "time_ns", lambda: next(moments))
    names = [generate_id("sub") for _ in range(100)]
    assert names == sorted(names)
    assert all(ID.fullmatch(name) for name in names)


def test_names_given_at_once_are_many() -> None:
    assert len({generate_id("sub") for _ in range(1_000)}) == 1_000


def audited(kept: ServiceStore, request: str, number: int, verdict: str = "pass") -> str:
    """Keep an audit with a record, all of them of one second."""
    wanted = Submission(
        id=generate_id("sub"),
        project="mine",
        submitter="k",
        submitted=NOW,
        order=AuditOrder(
            audit_file=compute_digest(b"file"),
            source="audit.yaml",
            inputs=(),
            policy=SOUGHT.policy,
            targets=("cpu",),
        ),
    )
    name, record = (
        kept.submit(wanted, None, model="line")[0].id,
        compute_digest(f"{number}".encode()),
    )
    with kept.store.transaction() as session:
        session.execute(insert(RecordRow).values(
            digest=record, id=record, request_digest=request, verdict=verdict, assurance="A1",
            model_name="line", model_version="1", policy_digest=SOUGHT.policy, registered=NOW,
            artifact_digest=SOUGHT.artifact, finished=NOW, body=b"{}", bundle=b"{}",
        ))  # fmt: skip
        session.add(RecordTargetRow(record_digest=record, target="cpu", identity=None))
    kept.end(name, SubmissionResult(ended=NOW, record=record))
    return name


@pytest.fixture
def kept(store: RecordStore) -> ServiceStore:
    found = ServiceStore(store)
    found.add_project("mine", NOW)
    return found


@pytest.fixture
def request_digest(kept: ServiceStore, asked: AuditRequest) -> str:
    body = digest_json(asked.to_json())
    with kept.store.transaction() as session:
        session.add(RequestRow(digest=body, body=encode_canonical(asked.to_json()).decode()))
    return body


def test_a_gate_asks_the_audit_that_was_handed_in_last_of_those_of_one_second(
    kept: ServiceStore, request_digest: str
) -> None:
    names = []
    for number in range(6):
        names.append(audited(kept, request_digest, number))
        found = find_newest_records(kept, SOUGHT, Budget("smoke")).first()
        assert found is not None
        assert found.submission == names[-1]
    lines, _ = AuditListQueries(kept).audits(AuditQuery(project="mine"))
    assert [line.id for line in lines] == names[::-1]


def test_of_one_second_a_failing_one_stands_before_later_passing_ones(
    kept: ServiceStore, request_digest: str
) -> None:
    failing = audited(kept, request_digest, 1, "fail")
    audited(kept, request_digest, 2)
    found = find_newest_records(kept, SOUGHT, Budget("smoke")).first()
    assert found is not None
    assert found.submission == failing
