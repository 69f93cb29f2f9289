"""What the ledger has about a record is found however much it grew since somebody last looked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import pytest
from ledger_toys import LOG
from sqlalchemy import event

from auditor.domain.json import compute_digest
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import LedgerEvent, LedgerEventType
from auditor.workflows.ledger import log_key_roles

NOW = "2026-01-01T00:00:00Z"
ONE, OTHER = compute_digest(b"one"), compute_digest(b"other")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Give either database, of which one is slow to have."""
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def grown(store: RecordStore) -> RecordStore:
    """A ledger that was begun, and has no approval yet."""
    signed = RecordStore(store.engine, store.blobs, LOG)
    log_key_roles(signed, {"report": "a public key"}, NOW)
    return signed


def approve(
    store: RecordStore, record: str, text: str, kind: LedgerEventType = LedgerEventType.APPROVAL
) -> bytes:
    document = text.encode()
    with store.unit_of_work() as work:
        name = f"{kind}-{compute_digest(document)[7:39]}"
        work.append(
            LedgerEvent(kind, compute_digest(document), NOW, {"record": record}, name), document
        )
    return document


def approvals(store: RecordStore, record: str) -> tuple[bytes, ...]:
    with store.looking() as work:
        return work.approvals(record)


def test_each_record_has_its_own_approvals_in_the_order_in_which_they_came(
    grown: RecordStore,
) -> None:
    assert approvals(grown, ONE) == ()
    first = approve(grown, ONE, "yes")
    approve(grown, OTHER, "yes to another")
    assert approvals(grown, ONE) == (first,)
    second = approve(grown, ONE, "no")
    assert approvals(grown, ONE) == (first, second)


def test_what_another_store_put_down_since_is_found_as_well(grown: RecordStore) -> None:
    assert approvals(grown, ONE) == ()
    elsewhere = RecordStore(grown.engine, grown.blobs, LOG)
    assert approvals(grown, ONE) == ()
    there = approve(elsewhere, ONE, "yes")
    assert approvals(grown, ONE) == (there,) == approvals(elsewhere, ONE)


def test_other_kinds_of_entries_are_no_approvals(grown: RecordStore) -> None:
    approve(grown, ONE, "a finding", LedgerEventType.FINDING)
    yes = approve(grown, ONE, "yes")
    approve(grown, ONE, "another finding", LedgerEventType.FINDING)
    assert approvals(grown, ONE) == (yes,)


def test_what_was_seen_once_is_not_read_again(grown: RecordStore) -> None:
    for number in range(20):
        approve(grown, OTHER, f"yes {number}")
    assert approvals(grown, ONE) == ()
    asked: list[str] = []
    event.listen(grown.engine, "before_cursor_execute", lambda *it: asked.append(str(it[2])))
    assert approvals(grown, ONE) == ()
    (since,) = [it for it in asked if it.startswith("SELECT")]
    assert "ledger_openings.idx >" in since


def test_a_transaction_that_reads_at_once_looks_once(grown: RecordStore) -> None:
    asked: list[str] = []
    event.listen(grown.engine, "before_cursor_execute", lambda *it: asked.append(str(it[2])))
    with grown.at_once():
        assert len(grown.key_entries()) == 2
        began = len(asked)
        assert began
        assert approvals(grown, ONE) == ()
        with grown.looking() as work:
            assert work.challenges() == ()
        assert len(grown.key_entries()) == 2
        assert len(asked) == began
    yes = approve(grown, ONE, "yes")
    assert approvals(grown, ONE) == (yes,)


def test_a_challenge_is_found_after_the_record_that_it_is_of(grown: RecordStore) -> None:
    told = approve(grown, ONE, "a challenge", LedgerEventType.CHALLENGE)
    approve(grown, OTHER, "yes")
    with grown.looking() as work:
        assert work.challenges() == ((ONE, told),)
    again = approve(grown, OTHER, "another challenge", LedgerEventType.CHALLENGE)
    with grown.looking() as work:
        assert work.challenges() == ((ONE, told), (OTHER, again))


def test_approvals_of_many_records_are_read_by_one_question(grown: RecordStore) -> None:
    names = [compute_digest(bytes([number])) for number in range(30)]
    said = {name: (approve(grown, name, f"yes to {name}"),) for name in names[:20]}
    asked: list[str] = []
    event.listen(grown.engine, "before_cursor_execute", lambda *it: asked.append(str(it[2])))
    with grown.looking() as work:
        assert work.approvals_of(names) == said
    assert len([it for it in asked if "ledger_openings.document" in it and "salt" not in it]) == 1


def elsewhere(do: Callable[[], object]) -> None:
    """Do something as another thread does it, in transactions of its own."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(do).result()


@pytest.mark.parametrize("read", [(), (OTHER,), (ONE,)])
def test_what_others_saw_since_is_not_told_to_a_transaction_that_does_not_see_it(
    grown: RecordStore, read: tuple[str, ...]
) -> None:
    def happen() -> None:
        approve(grown, ONE, "yes")
        approve(grown, ONE, "a challenge", LedgerEventType.CHALLENGE)
        log_key_roles(grown, {"log": "another key"}, NOW)
        for name in read:
            approvals(grown, name)

    if grown.near:
        assert approvals(grown, OTHER) == ()
    with grown.at_once():
        with grown.ledger() as ledger:
            assert ledger.head().size == 2
        elsewhere(happen)
        # SQLite shows the moment at which the first was asked, PostgreSQL what is there by now.
        new = 0 if grown.near else 1
        assert len(approvals(grown, ONE)) == new
        with grown.looking() as work:
            assert len(work.challenges()) == new
        assert len(grown.key_entries()) == 2 + new
    assert len(approvals(grown, ONE)) == 1


def test_who_looks_again_sees_what_the_database_shows_by_then(grown: RecordStore) -> None:
    with grown.at_once():
        assert approvals(grown, ONE) == ()
        elsewhere(lambda: (approve(grown, ONE, "yes"), approvals(grown, ONE)))
        assert approvals(grown, ONE) == ()
        grown.look_again()
        assert len(approvals(grown, ONE)) == (0 if grown.near else 1)


def test_a_writer_who_waits_for_its_turn_keeps_nobody_from_what_is_remembered(
    grown: RecordStore,
) -> None:
    waits = Flag()

    def write() -> None:
        event.listen(grown.engine, "before_cursor_execute", lambda *_: waits.set())
        with grown.unit_of_work() as work:
            work.approvals(ONE)

    assert approvals(grown, ONE) == ()
    with ThreadPoolExecutor(1) as pool:
        with grown.unit_of_work() as work:
            work.happened_before("nothing")
            other = pool.submit(write)
            if grown.near:
                assert waits.wait(120)
            assert work.approvals(ONE) == ()
        other.result()
