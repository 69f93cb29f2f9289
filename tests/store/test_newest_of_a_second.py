"""Of records that ended in one second a gate asks the one that does not pass."""

import pytest
from sqlalchemy import insert

from auditor.domain.json import compute_digest
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionResult
from auditor.service.store.people import ModelRecordQuery, RejudgementStore
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore
from auditor.store.tables import RecordRow, RequestRow

AT, ASKED = "2026-01-01T00:00:00Z", compute_digest(b"asked")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Give either database, of which one is slow to have."""
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue("postgresql_url"))


def keep(kept: ServiceStore, number: int, verdict: str) -> str:
    name, record = f"sub-{number:024x}", compute_digest(f"record {number}".encode())
    kept.submit(
        Submission(
            id=name,
            project="mine",
            submitter="k",
            submitted=AT,
            order=AuditOrder(
                audit_file=ASKED, source="audit.yaml", inputs=(), policy=ASKED, targets=("cpu",)
            ),
        ),
        None,
        model="line",
    )
    with kept.store.transaction() as session:
        session.execute(insert(RecordRow).values(
            digest=record, id=record, request_digest=ASKED, verdict=verdict, assurance="A1",
            model_name="line", model_version="1", artifact_digest=ASKED, policy_digest=ASKED,
            registered=AT, finished=AT, body=b"{}", bundle=b"{}",
        ))  # fmt: skip
    kept.end(name, SubmissionResult(ended=AT, record=record, files=ASKED))
    return record


def test_of_one_second_what_fails_stands_before_what_passes(store: RecordStore) -> None:
    kept = ServiceStore(store)
    kept.add_project("mine", AT)
    with store.transaction() as session:
        session.add(RequestRow(digest=ASKED, body="{}"))
    verdicts = ["pass"] * 4 + ["inconclusive"] + ["pass"] * 4 + ["fail"] + ["pass"] * 4
    by = {keep(kept, number, verdict): verdict for number, verdict in enumerate(verdicts)}
    like = RejudgementStore(store).first_like(ModelRecordQuery("mine", "line"))
    assert [by[it.record] for it in like] == ["fail", "inconclusive", *["pass"] * 12]
