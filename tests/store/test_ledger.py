"""The ledger in the store: it grows with what happened, proves it, and lets nothing be undone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_toys import LOG, NOW, WITNESS, failures, fill
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.errors import LedgerError, StoreError
from auditor.store.ledger import LedgerWriter
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import (
    LedgerEvent,
    LedgerEventType,
    build_record_event,
    build_registration_event,
    open_receipt,
)
from auditor.trust.ledger.merkle import (
    TreeHead,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)
from auditor.trust.ledger.notes import MemoryNoteSigner, SignedNote, find_cosigners, open_checkpoint
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.trust.ledger.tiles import SPAN, decode_entry_bundle
from auditor.workflows.ledger import build_receipt, log_key_roles

Make = Callable[..., AuditRecord]
TABLES = ("ledger_leaves", "ledger_openings", "ledger_checkpoints", "ledger_cosignatures")
COLUMNS = ("body", "event_id", "note", "line")
NEVER = "rows are never changed or deleted"
GROWS = "rows only grow"


@pytest.fixture
def filled(store: RecordStore, make_record: Make) -> RecordStore:
    return fill(store, make_record())


def grown(store: RecordStore, count: int) -> RecordStore:
    """Append entries that are no events, a few at a time, as any user of the log could."""
    with store.engine.begin() as connection:
        writer = LedgerWriter(connection, None, bytes)
        head = TreeHead(0, merkle_root([]))
        for start in range(0, count, 300):
            batch = [f"{at}".encode() for at in range(start, min(count, start + 300))]
            head = writer.append_entries(head, batch)
    return store


def test_what_happened_is_in_the_ledger_in_its_order(
    filled: RecordStore, make_record: Make
) -> None:
    record = make_record()
    with filled.ledger() as ledger:
        entries = [ledger.entry(index) for index in range(ledger.head().size)]
        (mine,) = ledger.find("r-1")
    kinds = [item.leaf.type.value for item in entries]
    kept = ["request", "record"]
    assert kinds == ["key-event", "key-event", *kept, *kept, "waiver", "cosignature"]
    assert entries[2].event == replace(
        build_registration_event(record.request, NOW), id=entries[2].leaf.id
    )
    assert mine.event == build_record_event(record, b"bundle of r-1")
    assert entries[6].document == b'{"rule":"accuracy"}'


def test_each_transaction_ends_in_a_signed_checkpoint_that_the_next_continues(
    filled: RecordStore,
) -> None:
    with filled.ledger() as ledger:
        sizes = (2, 3, 4, 5, 6, 7, 8)
        heads = [open_checkpoint(ledger.checkpoint(size), LOG.key).head for size in sizes]
        afters = [ledger.entry(index).leaf.after for index in range(8)]
        for old, new in pairwise(heads):
            assert verify_consistency(new, old, ledger.tree(new.size).consistency(old.size))
        assert heads[-1] == ledger.head()
        with pytest.raises(LedgerError, match="no such checkpoint"):
            ledger.checkpoint(1)
    assert afters == [0, 0, 2, 3, 4, 5, 6, 7]


def test_a_receipt_prefers_a_checkpoint_that_was_cosigned(filled: RecordStore) -> None:
    with filled.ledger() as ledger:
        early, late = build_receipt(ledger, "r-1"), build_receipt(ledger, ledger.entry(7).leaf.id)
        with pytest.raises(LedgerError, match="no entry"):
            build_receipt(ledger, "r-9")
    assert open_receipt(early, LOG.key).head.size == 7
    assert find_cosigners(SignedNote.parse(LedgerReceipt.parse(early).note), [WITNESS.key]) == (
        WITNESS.key,
    )
    assert open_receipt(late, LOG.key).head.size == 8


def test_a_transaction_that_is_undone_leaves_no_leaf_and_no_checkpoint(
    filled: RecordStore, asked: AuditRequest
) -> None:
    def register_and_stumble() -> None:
        with filled.unit_of_work() as work:
            work.register(asked, NOW)
            raise KeyError

    with pytest.raises(KeyError):
        register_and_stumble()
    with filled.ledger() as ledger:
        assert ledger.head().size == 8
    assert failures(filled) == ""


def test_an_event_of_no_form_undoes_its_transaction(
    filled: RecordStore, asked: AuditRequest
) -> None:
    def register_and_append(bad: LedgerEvent) -> None:
        with filled.unit_of_work() as work:
            work.register(asked, NOW)
            work.append(bad, b"")

    with pytest.raises(LedgerError, match="an id"):
        register_and_append(
            LedgerEvent(LedgerEventType.POLICY, compute_digest(b""), NOW, id="Jane Doe")
        )
    with filled.ledger() as ledger:
        assert ledger.head().size == 8


def test_a_document_must_be_the_one_that_the_event_names(filled: RecordStore) -> None:
    with pytest.raises(StoreError, match="has another"), filled.unit_of_work() as work:
        work.append(LedgerEvent(LedgerEventType.POLICY, compute_digest(b"one"), NOW), b"another")


def test_a_key_is_noted_once(filled: RecordStore) -> None:
    log_key_roles(filled, {"report": "a public key"}, NOW)
    log_key_roles(filled, {"report": "the next public key"}, NOW)
    with filled.ledger() as ledger:
        assert ledger.head().size == 9


def test_a_ledger_that_begins_adopts_what_was_there(store: RecordStore, make_record: Make) -> None:
    record = make_record()
    with store.unit_of_work() as work:
        work.register(record.request, NOW)
        work.save(record, b"bundle")
        work.happened.clear()  # as a version without a ledger kept them
    signed = replace(store, signer=LOG)
    log_key_roles(signed, {}, NOW)
    with signed.ledger() as ledger:
        kinds = [ledger.entry(index).leaf.type.value for index in range(ledger.head().size)]
    assert kinds == ["request", "record", "key-event"]
    assert failures(signed) == ""


def test_another_key_cannot_go_on(filled: RecordStore, asked: AuditRequest) -> None:
    other = MemoryNoteSigner(LOG.name, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    with (
        pytest.raises(StoreError, match="cannot be continued"),
        replace(filled, signer=other).unit_of_work() as work,
    ):
        work.register(asked, NOW)


def test_processes_that_append_at_once_wait_for_each_other(
    filled: RecordStore, asked: AuditRequest
) -> None:
    def register(at: int) -> None:
        with filled.unit_of_work() as work:
            work.register(asked, f"2026-02-01T00:00:{at:02}Z")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(register, range(12)))
    with filled.ledger() as ledger:
        assert ledger.head().size == 20
    assert failures(filled) == ""


def test_who_appends_to_a_log_that_moved_on_is_refused(filled: RecordStore) -> None:
    with filled.ledger() as ledger:
        stale = ledger.head()
    log_key_roles(filled, {"report": "another"}, NOW)
    with filled.engine.begin() as connection, pytest.raises(StoreError):
        LedgerWriter(connection, None, bytes).append_entries(stale, [b"x"])


def test_tiles_serve_every_proof(store: RecordStore) -> None:
    count = 700
    leaves = [leaf_hash(f"{at}".encode()) for at in range(count)]
    with grown(store, count).ledger() as ledger:
        head = ledger.head()
        assert head == TreeHead(count, merkle_root(leaves))
        assert ledger.tile(0, 0) == b"".join(leaves[:SPAN])
        assert ledger.tile(0, 2) == b"".join(leaves[2 * SPAN :])
        assert ledger.tile(1, 0) == merkle_root(leaves[:SPAN]) + merkle_root(
            leaves[SPAN : 2 * SPAN]
        )
        assert ledger.entries(255, 258) == (b"255", b"256", b"257")
        for index in range(0, count, 41):
            proof = ledger.tree(count).inclusion(index)
            assert verify_inclusion(head, index, leaves[index], proof)
        with pytest.raises(StoreError, match="missing"):
            ledger.tile(2, 0)
        with pytest.raises(StoreError, match="missing"):
            ledger.tree(2 * count).root()


def test_what_is_served_is_enough_to_build_the_tree_again(store: RecordStore) -> None:
    count = 600
    paths = ["tile/0/000", "tile/0/001", "tile/0/002.p/88"]
    with grown(store, count).ledger() as ledger:
        hashes = b"".join(ledger.served(path) for path in paths)
        raws = [ledger.served(path.replace("tile/0", "tile/entries")) for path in paths]
        entries = [entry for raw in raws for entry in decode_entry_bundle(raw)]
        root = ledger.head().root
        assert ledger.served("tile/0/002.p/5") == hashes[512 * 32 : 517 * 32]
        assert ledger.served("tile/1/000.p/2") == root_of_each(hashes)
        for path in ("tile/0/002", "tile/0/002.p/89", "tile/0/003.p/1", "tile/2/000.p/1", "tile/x"):
            with pytest.raises(LedgerError):
                ledger.served(path)
    assert b"".join(map(leaf_hash, entries)) == hashes
    assert merkle_root(map(leaf_hash, entries)) == root


def root_of_each(hashes: bytes) -> bytes:
    tiles = [hashes[at : at + 8192] for at in (0, 8192)]
    return b"".join(merkle_root(tile[at : at + 32] for at in range(0, 8192, 32)) for tile in tiles)


def test_the_checkpoint_is_served_with_its_cosignatures(filled: RecordStore) -> None:
    with filled.ledger() as ledger:
        assert ledger.served("checkpoint") == ledger.checkpoint(8)
        assert len(SignedNote.parse(ledger.checkpoint(7)).signatures) == 2


def test_no_leaf_opening_checkpoint_or_cosignature_is_changed_or_deleted(
    filled: RecordStore,
) -> None:
    for table, column in zip(TABLES, COLUMNS, strict=True):
        refuses(filled, f"UPDATE {table} SET {column} = {column}", NEVER)  # noqa: S608 -- our own names
        refuses(filled, f"DELETE FROM {table}", NEVER)  # noqa: S608 -- our own names
        if filled.engine.dialect.name == "postgresql":
            refuses(filled, f"TRUNCATE {table} CASCADE", NEVER)


def test_tiles_and_state_only_grow(store: RecordStore) -> None:
    ledger = grown(store, 300)
    for table in ("ledger_tiles", "ledger_state"):
        refuses(ledger, f"DELETE FROM {table}", NEVER)  # noqa: S608 -- our own names
        if store.engine.dialect.name == "postgresql":
            refuses(ledger, f"TRUNCATE {table}", NEVER)
    for change in (
        "ledger_tiles SET hashes = hashes WHERE width = 256",
        "ledger_tiles SET width = 1 WHERE width < 256",
        "ledger_tiles SET width = width + 1 WHERE width < 256",
        "ledger_tiles SET level = level + 9",
        "ledger_state SET size = size",
        "ledger_state SET size = size - 1",
    ):
        refuses(ledger, f"UPDATE {change}", GROWS)


def test_insert_or_replace_of_sqlite_cannot_get_past_the_triggers(
    sqlite_url: str, home: Path, make_record: Make
) -> None:
    store = fill(RecordStore.open(sqlite_url, home / "blobs"), make_record())
    refuses(store, "INSERT OR REPLACE INTO ledger_leaves VALUES (3, 'x')", NEVER)
    refuses(store, "INSERT OR REPLACE INTO ledger_tiles VALUES (0, 0, 0, '', '')", NEVER)
    store.close()


def refuses(store: RecordStore, statement: str, why: str) -> None:
    with pytest.raises(DatabaseError, match=why), store.engine.begin() as connection:
        connection.execute(text(statement))
