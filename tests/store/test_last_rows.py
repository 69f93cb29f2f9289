"""What checks tell while they run leaves the mark of the rest as it was, and nothing else does."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from auditor.domain.json import compute_digest
from auditor.service.domain.submissions import (
    ShardKey,
    Submission,
    SubmissionEventKind,
    SubmissionResult,
    SubmissionState,
)
from auditor.service.store.last_rows import FOLLOW, PROGRESS, LastRowTracker, build_last_row_query
from auditor.service.store.submissions import ServiceStore
from auditor.store.record_store import RecordStore

NOW = "2026-01-01T00:00:00Z"
CHECK = {"target": "cpu", "check": "quality.accuracy"}


@pytest.fixture
def near(sqlite_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordStore]:
    """Open a store whose database can tell."""
    store = RecordStore.open(sqlite_url, tmp_path_factory.mktemp("blobs"))
    yield store
    store.close()


@pytest.fixture
def submitted(near: RecordStore) -> str:
    """Hand an audit in, and return its id."""
    kept = ServiceStore(near)
    kept.add_project("mine", NOW)
    asked = Submission(
        id=f"sub-{1:024x}", project="mine", submitter="k1", audit_file=compute_digest(b"audit"),
        source="audit.yaml", inputs=(), policy=compute_digest(b"policy"), targets=("cpu",),
        submitted=NOW,
    )  # fmt: skip
    return kept.submit(asked, None)[0].id


def marked(store: RecordStore) -> object:
    return store.mark_rows(store.mark(), LastRowTracker)


def tables(store: RecordStore) -> list[str]:
    asked = text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    with store.reading() as session:
        return [name for (name,) in session.execute(asked) if not name.startswith("sqlite_")]


def test_rows_of_every_table_are_only_ever_added_or_follow_rows_that_are(near: RecordStore) -> None:
    asked = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    with near.reading() as session:
        triggers = {name: sql for name, sql in session.execute(asked)}  # noqa: C416 -- rows
    known = tables(near)
    assert {*PROGRESS, *FOLLOW} <= set(known)
    for table in set(known) - FOLLOW - {"alembic_version"}:
        for verb in ("update", "delete"):
            sql = triggers[f"{table}_refuse_{verb}"]
            assert f"BEFORE {verb.upper()} ON {table} BEGIN SELECT RAISE(ABORT" in sql, sql


def test_no_table_is_forgotten(near: RecordStore) -> None:
    asked = build_last_row_query(tables(near))
    for table in set(tables(near)) - PROGRESS:
        assert f'max(rowid) FROM "{table}"' in asked


def test_progress_leaves_it_and_a_state_a_project_and_an_ending_do_not(
    near: RecordStore, submitted: str
) -> None:
    kept = ServiceStore(near)
    kept.append(submitted, SubmissionState.RUNNING, {}, NOW)
    seen = [marked(near)]
    for kind in SubmissionEventKind:
        before = near.mark()
        kept.append(submitted, kind, CHECK, NOW)
        assert near.mark() != before
        assert marked(near) == seen[0], kind
    key = ShardKey(submission=submitted, target="cpu", check="quality.accuracy")
    kept.put_result(key, b"{}", NOW, CHECK)
    assert marked(near) == seen[0]
    kept.add_project("another", NOW)
    seen.append(marked(near))
    kept.end(submitted, SubmissionResult(ended=NOW))
    seen.append(marked(near))
    assert len(set(seen)) == 3


def test_a_state_among_progress_is_seen(near: RecordStore, submitted: str) -> None:
    kept = ServiceStore(near)
    kept.append(submitted, SubmissionEventKind.NOTE, {}, NOW)
    before = marked(near)
    kept.append(submitted, SubmissionEventKind.NOTE, {}, NOW)
    kept.append(submitted, SubmissionState.RUNNING, {}, NOW)
    kept.append(submitted, SubmissionEventKind.NOTE, {}, NOW)
    after = marked(near)
    assert after != before
    kept.append(submitted, SubmissionEventKind.NOTE, {}, NOW)
    assert marked(near) == after


def test_a_new_connection_makes_another_mark(near: RecordStore) -> None:
    before = marked(near)
    near.changes.close()
    assert marked(near) != before
