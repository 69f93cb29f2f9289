"""A mark stays equal as long as nobody writes, and whoever does changes it, in whatever process."""

import subprocess
import sys

import pytest
from ledger_toys import LOG
from sqlalchemy import create_engine

from auditor.errors import StoreError
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.tables import ProjectRow
from auditor.store.record_store import RecordStore
from auditor.workflows.ledger import log_key_roles

NOW = "2026-01-01T00:00:00Z"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Give either database, of which one is slow to have."""
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue("postgresql_url"))


def test_a_mark_is_another_after_each_thing_that_is_kept(store: RecordStore) -> None:
    kept, seen = ServiceStore(store), [store.mark()]
    for name in ("mine", "theirs"):
        assert kept.add_project(name, NOW)
        seen.append(store.mark())
    assert len(set(seen)) == 3


@pytest.mark.slow
def test_a_mark_is_another_after_what_another_process_kept(store: RecordStore, url: str) -> None:
    before = store.mark()
    writes = (
        "import sys; from auditor.store.record_store import RecordStore\n"
        "from auditor.service.store.submission_history import ServiceStore\n"
        "from pathlib import Path\n"
        "store = RecordStore.open(sys.argv[1], Path(sys.argv[2]))\n"
        f"ServiceStore(store).add_project('far', {NOW!r})"
    )
    blobs = str(store.blobs.root)
    subprocess.run([sys.executable, "-c", writes, url, blobs], check=True)
    assert store.mark() != before


def test_what_is_not_kept_in_the_end_changes_no_row_that_a_mark_speaks_of(
    store: RecordStore,
) -> None:
    kept = ServiceStore(store)
    before, undone = store.mark(), RuntimeError("undone")

    def fail() -> None:
        with store.transaction() as session:
            session.add(ProjectRow(name="lost", created=NOW))
            session.flush()
            # Nobody else sees a row before its transaction ends, and so no mark may wait for it.
            assert store.mark() == before
            raise undone

    with pytest.raises(RuntimeError, match="undone"):
        fail()
    assert kept.projects() == ()


def test_to_read_changes_no_mark(store: RecordStore) -> None:
    kept = ServiceStore(store)
    kept.add_project("mine", NOW)
    before = store.mark()
    assert kept.projects() == (("mine", NOW),)
    with store.ledger() as ledger:
        ledger.head()
    assert store.mark() == before


def test_a_mark_after_a_break_is_never_one_from_before(store: RecordStore) -> None:
    before = store.mark()
    store.changes.close()
    assert store.mark() != before


def test_a_database_that_is_gone_gives_no_mark() -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    gone = RecordStore(engine, blobs=None)  # type: ignore[arg-type]  # nothing is kept there
    with pytest.raises(StoreError, match="does not answer"):
        gone.mark()
    gone.close()


def test_what_is_read_at_once_is_as_it_was_when_that_began(store: RecordStore) -> None:
    kept = ServiceStore(store)
    kept.add_project("mine", NOW)
    with store.at_once():
        assert kept.projects() == (("mine", NOW),)
        with store.reading() as one, store.reading() as other, store.ledger() as ledger:
            assert one is other
            assert ledger.connection is one.connection()
    kept.add_project("theirs", NOW)
    assert len(kept.projects()) == 2
    with store.reading() as one, store.reading() as other:
        assert one is not other


def test_keys_of_the_ledger_that_came_since_are_seen(store: RecordStore) -> None:
    signed = RecordStore(store.engine, store.blobs, LOG)
    with signed.at_once():
        assert signed.key_entries() == ()
        log_key_roles(RecordStore(store.engine, store.blobs, LOG), {"report": "a public key"}, NOW)
        assert signed.key_entries() == ()
    known = signed.key_entries()
    assert len(known) == 2
    assert signed.key_entries() == known
    signed.close()
