"""Every kind of row that is deleted, changed or put in by hand is found and named."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_toys import LOG, checkpoint, failed, failures, fill, hands
from sqlalchemy import Connection, text

from auditor.domain.records import AuditRecord
from auditor.errors import StoreError
from auditor.store.ledger_audit import LedgerReference
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.merkle import leaf_hash
from auditor.trust.ledger.tiles import RightEdge, append_leaf_hashes

Make = Callable[..., AuditRecord]

# Where a row is deleted, and words of what names it.
DELETED = {
    "requests": ("1 = 1", "the request sha256:"),
    "registrations": ("id = 1", "is missing from registrations (1)"),
    "registration_subjects": ("registration = 1", "1 is missing from registration_subjects"),
    "records": ("id = 'r-1'", "the record r-1 (leaf 3) is missing from records"),
    "record_targets": ("target = 'lost'", "record_targets of record r-1: missing or changed"),
    "prov_entities": ("kind = 'file'", f"prov_entities: file:{'ab' * 32} is missing"),
    "prov_activities": ("id = 'audit:r-2'", "prov_activities: audit:r-2 is missing"),
    "prov_edges": (
        "role = 'evaluation' AND stated_by = (SELECT digest FROM records WHERE id = 'r-1')",
        "prov_edges of record r-1: missing or changed: audit:r-1 used dataset:",
    ),
    "ledger_leaves": ("idx = 3", "leaf 3 is missing from ledger_leaves"),
    "ledger_openings": ("idx = 3", "the opening of leaf 3 (r-1) is missing"),
    "ledger_tiles": ("level = 0", "tile/0/000 is missing from ledger_tiles"),
    "ledger_state": ("id = 1", "the ledger's state is missing from ledger_state"),
    "ledger_checkpoints": ("size = 4", "the checkpoint of 4 leaves is missing"),
    "ledger_cosignatures": ("1 = 1", "the cosignature of leaf 7 is missing"),
}
# What of a row is changed, where, and words of what names it.
CHANGED = {
    "a request": ("requests SET body = '{}'", "was changed: its body has another digest"),
    "a registration": (
        "registrations SET registered = '2025-01-01T00:00:00Z' WHERE id = 1",
        "2025-01-01T00:00:00Z is in no leaf of the ledger",
    ),
    "what is looked up of a registration": (
        "registration_subjects SET model = 'x' WHERE registration = 1",
        "the row of registration 1 in registration_subjects was changed",
    ),
    "a record": ("records SET body = 'x' WHERE id = 'r-2'", "the record r-2 was changed"),
    "a signature": (
        "records SET bundle = 'x' WHERE id = 'r-2'",
        "the signature of record r-2 (leaf 5) was changed",
    ),
    "a verdict": (
        "records SET verdict = 'pass' WHERE id = 'r-2'",
        "the column verdict of record r-2 was changed to 'pass'",
    ),
    "a record's name": ("records SET id = 'r-3' WHERE id = 'r-2'", "the column id of record r-3"),
    "a target": (
        "record_targets SET identity = 'x' WHERE target = 'cpu'",
        "record_targets of record r-1: put in or changed by hand: identity 'x'",
    ),
    "an edge": (
        "prov_edges SET role = 'x' WHERE role = 'evaluation'",
        "prov_edges of record r-1: put in or changed by hand: audit:r-1 used dataset:",
    ),
    "an entity": (
        "prov_entities SET attrs = '{}' WHERE kind = 'dataset'",
        "was changed: no document states it so",
    ),
    "an activity": (
        "prov_activities SET ended = '2026-01-02T00:00:00Z' WHERE id = 'audit:r-1'",
        "prov_activities: audit:r-1 was changed",
    ),
    "a leaf": ("ledger_leaves SET body = 'x' WHERE idx = 3", "leaf 3 was changed: it is not what"),
    "a salt": ("ledger_openings SET salt = 'x' WHERE idx = 3", "the opening of leaf 3 (r-1) was"),
    "an opened digest": (
        "ledger_openings SET digest = 'x' WHERE idx = 3",
        "the opening of leaf 3 (r-1) was changed: salt, digest or subjects",
    ),
    "opened subjects": (
        "ledger_openings SET subjects = '{' WHERE idx = 3",
        "the opening of leaf 3 (r-1) was changed: its subjects are not JSON",
    ),
    "the id of an opening": (
        "ledger_openings SET event_id = 'r-9' WHERE idx = 3",
        "the opening of leaf 3 (r-1) was changed: it is kept under the id 'r-9'",
    ),
    "a document": (
        "ledger_openings SET document = 'x' WHERE idx = 6",
        "was changed: its document was changed",
    ),
    "a document's absence": (
        "ledger_openings SET document = NULL WHERE idx = 6",
        "was changed: its document is missing",
    ),
    "a tile": ("ledger_tiles SET hashes = 'x'", "tile/0/000 was changed"),
    "a tile's width": ("ledger_tiles SET width = 3", "tile/0/000 was changed: its width is not 3"),
    "a tile's nodes": ("ledger_tiles SET inner = 'x'", "other nodes half-way up"),
    "the size": ("ledger_state SET size = 5", "ledger_state says 5 leaves, and there are 8"),
    "the root": ("ledger_state SET root = 'x'", "ledger_state has another root"),
    "a checkpoint": (
        "ledger_checkpoints SET note = 'x' WHERE size = 4",
        "the checkpoint of 4 leaves was changed",
    ),
    "a checkpoint's size": (
        "ledger_checkpoints SET size = 44 WHERE size = 4",
        "the checkpoint of 44 leaves was changed: it speaks of 4",
    ),
    "a cosignature": ("ledger_cosignatures SET line = 'x'", "the cosignature of leaf 7 is missing"),
    "a cosigned size": ("ledger_cosignatures SET size = 4", "under 4 leaves is in no leaf"),
}
ALIKE = (
    "request_digest, derived_from, verdict, assurance, model_name, model_version, "
    "artifact_digest, policy_digest, registered, finished, body, bundle"
)
BY_HAND = {
    "a request": ("requests VALUES ('sha256:x', 'x')", "the request sha256:x is in no leaf"),
    "a registration": (
        "registrations SELECT 99, digest, '2024-01-01T00:00:00Z' FROM requests",
        "2024-01-01T00:00:00Z is in no leaf of the ledger",
    ),
    "what is looked up of nothing": (
        "registration_subjects VALUES (99, '', 'x', 'x', 'x', 'x')",
        "registration_subjects has a row of a registration 99 that is not there",
    ),
    "a record": (
        f"records SELECT 'sha256:x', 'r-9', {ALIKE} FROM records WHERE id = 'r-1'",  # noqa: S608 -- our own words
        "the record r-9 (sha256:x) is in no leaf of the ledger",
    ),
    "a target": (
        "record_targets SELECT digest, 'gpu', NULL FROM records WHERE id = 'r-1'",
        "record_targets of record r-1: put in or changed by hand",
    ),
    "a target of nothing": ("record_targets VALUES ('x', 'gpu', NULL)", "of a record x that is"),
    "an edge": (
        "prov_edges SELECT 99, 'a:1', 'used', 'b:2', 'c', digest FROM records WHERE id = 'r-1'",
        "prov_edges of record r-1: put in or changed by hand: a:1 used b:2 as c",
    ),
    "an edge of nothing": (
        "prov_edges VALUES (99, 'a:1', 'used', 'b:2', 'c', 'x')",
        "prov_edges has 1 edges of a document x that is not there",
    ),
    "an entity": (
        "prov_entities VALUES ('a:1', 'a', '1', '', '{}')",
        "prov_entities: a:1 was put in by hand",
    ),
    "an activity": (
        "prov_activities VALUES ('a:1', 'a', 'then', 'now', '{}')",
        "prov_activities: a:1 was put in by hand",
    ),
    "a leaf": ("ledger_leaves VALUES (8, 'x')", "leaf 8: an entry is not an event"),
    "a leaf far away": ("ledger_leaves VALUES (2000000000, 'x')", "and nothing before it"),
    "an opening": (
        "ledger_openings VALUES (99, 'x', 'x', 'x', '{}', NULL)",
        "there is an opening of leaf 99, and no such leaf",
    ),
    "a tile": ("ledger_tiles VALUES (3, 0, 0, '', '')", "tile/3/000 belongs to no leaf"),
    "a cosignature": ("ledger_cosignatures VALUES ('x y z', 7)", "of y under 7 leaves is in no"),
}


@pytest.fixture
def filled(store: RecordStore, make_record: Make) -> RecordStore:
    return fill(store, make_record())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, make_record: Make) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    store = RecordStore.open(f"sqlite:///{folder / 'auditor.db'}", folder / "blobs")
    fill(store, make_record())
    with store.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    store.close()
    return folder / "auditor.db"


@pytest.fixture
def kept(template: Path, tmp_path: Path) -> Iterator[RecordStore]:
    shutil.copy(template, tmp_path / "auditor.db")
    database = RecordStore.open(f"sqlite:///{tmp_path / 'auditor.db'}", tmp_path / "blobs")
    yield replace(database, signer=LOG)
    database.close()


def test_an_untouched_ledger_holds(filled: RecordStore) -> None:
    assert failures(filled, checkpoint(filled)) == ""


@pytest.mark.parametrize("table", DELETED)
def test_a_deleted_row_is_named(kept: RecordStore, table: str) -> None:
    outside = checkpoint(kept)
    where, words = DELETED[table]
    with hands(kept.engine) as connection:
        connection.execute(text(f"DELETE FROM {table} WHERE {where}"))  # noqa: S608 -- our own words
    assert words in failures(kept, outside)


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_row_is_named(kept: RecordStore, what: str) -> None:
    outside = checkpoint(kept)
    change, words = CHANGED[what]
    with hands(kept.engine) as connection:
        connection.execute(text(f"UPDATE {change}"))
    assert words in failures(kept, outside)


@pytest.mark.parametrize("what", BY_HAND)
def test_a_row_put_in_by_hand_is_named(kept: RecordStore, what: str) -> None:
    values, words = BY_HAND[what]
    with hands(kept.engine) as connection:
        connection.execute(text(f"INSERT INTO {values}"))
    assert words in failures(kept)


def test_a_row_changed_on_postgresql_is_named_too(filled: RecordStore) -> None:
    outside = checkpoint(filled)
    with hands(filled.engine) as connection:
        connection.execute(text("UPDATE records SET verdict = 'pass' WHERE id = 'r-2'"))
        connection.execute(text("DELETE FROM ledger_leaves WHERE idx = 2"))
    found = failures(filled, outside)
    assert "the column verdict of record r-2 was changed to 'pass'" in found
    assert "leaf 2 is missing from ledger_leaves" in found


def write_anew(connection: Connection, last: int) -> None:
    """Make tiles and state of the first leaves, whatever they say by now."""
    rows = connection.execute(text("SELECT body FROM ledger_leaves ORDER BY idx"))
    bodies = [body if isinstance(body, bytes) else body.encode() for (body,) in rows][:last]
    edge, _ = append_leaf_hashes(RightEdge(0, {}), b"".join(leaf_hash(body) for body in bodies))
    connection.execute(
        text("UPDATE ledger_tiles SET hashes = :hashes, width = :size"),
        {"hashes": edge.partial[0], "size": edge.size},
    )
    connection.execute(
        text("UPDATE ledger_state SET root = :root, size = :size"),
        {"root": edge.root(), "size": edge.size},
    )


def test_history_written_anew_is_narrowed_to_what_was_signed_over(kept: RecordStore) -> None:
    with hands(kept.engine) as connection:
        (body,) = connection.execute(text("SELECT body FROM ledger_leaves WHERE idx = 4")).one()
        forged = body.replace(b'"time":"2026', b'"time":"2025')
        assert forged != body
        connection.execute(
            text("UPDATE ledger_leaves SET body = :body WHERE idx = 4"), {"body": forged}
        )
        write_anew(connection, 8)
    assert "a leaf from 4 to 4 was changed or lost: the checkpoint of 5" in failures(kept)


def test_a_tail_that_was_cut_off_everywhere_is_found_by_a_checkpoint_kept_elsewhere(
    kept: RecordStore,
) -> None:
    outside = checkpoint(kept)
    with hands(kept.engine) as connection:
        for statement in (
            "DELETE FROM ledger_cosignatures",
            "DELETE FROM ledger_openings WHERE idx >= 6",
            "DELETE FROM ledger_leaves WHERE idx >= 6",
            "DELETE FROM ledger_checkpoints WHERE size > 6",
        ):
            connection.execute(text(statement))
        write_anew(connection, 6)
    assert failures(kept) == ""
    assert failures(kept, outside) == (
        "outside checkpoint kept: leaves 6 to 7 were lost: the checkpoint has 8"
    )


def test_who_has_the_key_and_writes_all_anew_is_found_by_a_checkpoint_kept_elsewhere(
    kept: RecordStore, tmp_path: Path, make_record: Make
) -> None:
    outside = checkpoint(kept)
    other = RecordStore.open(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "blobs")
    anew = fill(other, make_record())
    assert failures(anew) == ""
    assert "its first 8 leaves give another root than the checkpoint" in failures(anew, outside)
    assert "keeps another checkpoint of 8 leaves" in failures(anew, outside)
    other.close()


def test_a_checkpoint_of_another_key_is_refused(kept: RecordStore) -> None:
    forged = checkpoint(kept).replace(b"log.example/1", b"log.example/2")
    found = failed(kept, LedgerReference(LOG.key, (), {"forged": forged}))
    assert [step.name for step in found] == ["outside checkpoint forged"]


def test_a_damaged_ledger_takes_nothing_more(kept: RecordStore, make_record: Make) -> None:
    with hands(kept.engine) as connection:
        connection.execute(text("UPDATE ledger_state SET root = 'x'"))
    with pytest.raises(StoreError, match="tiles are damaged"), kept.unit_of_work() as work:
        work.register(make_record().request, "2026-03-01T00:00:00Z")


def test_a_ledger_that_does_not_continue_its_checkpoint_signs_nothing_more(
    kept: RecordStore, make_record: Make
) -> None:
    with hands(kept.engine) as connection:
        connection.execute(text("UPDATE ledger_leaves SET body = 'x' WHERE idx = 4"))
        write_anew(connection, 8)
    with pytest.raises(StoreError, match="nothing is signed"), kept.unit_of_work() as work:
        work.register(make_record().request, "2026-03-01T00:00:00Z")
    with hands(kept.engine) as connection:
        write_anew(connection, 5)
    with pytest.raises(StoreError, match="nothing is signed"), kept.unit_of_work() as work:
        work.register(make_record().request, "2026-03-01T00:00:00Z")
