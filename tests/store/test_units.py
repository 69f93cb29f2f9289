"""The store's transactions: the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from auditor.domain.json import encode_canonical, parse_json, read_json
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.text_limits import MOST_NAME
from auditor.errors import RecordError, StoreError
from auditor.store.record_store import RecordStore

Make = Callable[..., AuditRecord]
NOW = "2026-01-01T00:00:00Z"
COLUMNS = {
    "requests": "body",
    "registrations": "registered",
    "registration_subjects": "project",
    "records": "verdict",
    "record_targets": "identity",
    "prov_entities": "attrs",
    "prov_activities": "ended",
    "prov_edges": "role",
}


def count(store: RecordStore, table: str) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 -- our own names


def keep(store: RecordStore, *records: AuditRecord) -> None:
    with store.unit_of_work() as unit:
        for record in records:
            unit.register(record.request, NOW)
            unit.save(record, b"bundle of " + record.id.encode())


def test_a_saved_record_comes_back_with_the_bytes_that_were_signed(
    store: RecordStore, make_record: Make
) -> None:
    record = make_record()
    keep(store, record)
    with store.unit_of_work() as unit:
        found = unit.find_record("r-1")
    assert found is not None
    assert found.body == record.canonical()
    assert found.digest == record.digest
    assert found.bundle == b"bundle of r-1"
    assert found.read() == record


def test_a_record_that_is_not_there_is_not_found(store: RecordStore) -> None:
    with store.unit_of_work() as unit:
        assert unit.find_record("r-1") is None


def test_a_record_whose_request_was_never_registered_is_refused(
    store: RecordStore, make_record: Make
) -> None:
    with pytest.raises(StoreError, match="was never registered"), store.unit_of_work() as unit:
        unit.save(make_record(), b"bundle")
    assert count(store, "records") == 0


def test_a_record_is_never_replaced(store: RecordStore, make_record: Make) -> None:
    keep(store, make_record())
    other = make_record(finished="2026-02-01T00:00:00Z")
    with pytest.raises(StoreError, match="r-1 already"), store.unit_of_work() as unit:
        unit.save(other, b"bundle")
    with store.unit_of_work() as unit:
        found = unit.find_record("r-1")
    assert found is not None
    assert found.read() == make_record()


def test_a_request_may_be_registered_again_and_is_kept_once(
    store: RecordStore, asked: AuditRequest
) -> None:
    for at in (NOW, "2026-01-02T00:00:00Z"):
        with store.unit_of_work() as unit:
            unit.register(asked, at)
    assert (count(store, "requests"), count(store, "registrations")) == (1, 2)


def test_an_exception_undoes_the_whole_unit(store: RecordStore, asked: AuditRequest) -> None:
    def register_and_stumble() -> None:
        with store.unit_of_work() as unit:
            unit.register(asked, NOW)
            raise KeyError

    with pytest.raises(KeyError):
        register_and_stumble()
    assert count(store, "requests") == 0


def test_a_target_that_never_opened_has_no_identity(store: RecordStore, make_record: Make) -> None:
    record = make_record()
    keep(store, record)
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT target, identity FROM record_targets"))
        identities = {row.target: row.identity for row in rows}
    assert identities == {"cpu": record.fingerprints["cpu"].identity, "lost": None}


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_nothing_is_ever_changed_or_deleted(
    store: RecordStore, make_record: Make, table: str, verb: str
) -> None:
    keep(store, make_record())
    column = COLUMNS[table]
    statement = {
        "UPDATE": f"UPDATE {table} SET {column} = 'other'",  # noqa: S608 -- our own names
        "DELETE": f"DELETE FROM {table}",  # noqa: S608 -- our own names
        "TRUNCATE": f"TRUNCATE {table} CASCADE",
    }[verb]
    if verb == "TRUNCATE" and store.engine.dialect.name == "sqlite":
        statement = f"DELETE FROM {table}"  # noqa: S608 -- SQLite has no other word for it
    before = count(store, table)
    message = "rows are never changed or deleted"
    with pytest.raises(DatabaseError, match=message), store.engine.begin() as connection:
        connection.execute(text(statement))
    assert count(store, table) == before > 0


def test_insert_or_replace_of_sqlite_cannot_get_past_the_triggers(
    sqlite_url: str, home: Path, make_record: Make
) -> None:
    store = RecordStore.open(sqlite_url, home / "blobs")
    keep(store, make_record())
    replacing = text("INSERT OR REPLACE INTO requests SELECT digest, 'other' FROM requests")
    with pytest.raises(DatabaseError, match="never changed"), store.engine.begin() as connection:
        connection.execute(replacing)
    store.close()


def test_a_record_damaged_in_the_database_is_named(store: RecordStore, make_record: Make) -> None:
    keep(store, make_record())
    drop = {
        "sqlite": "DROP TRIGGER records_refuse_update",
        "postgresql": "DROP TRIGGER records_refuse_change ON records",
    }[store.engine.dialect.name]
    with store.engine.begin() as connection:
        connection.execute(text(drop))
        connection.execute(text("UPDATE records SET body = :body"), {"body": b"{}"})
    with pytest.raises(StoreError, match="r-1 is damaged"), store.unit_of_work() as unit:
        unit.find_record("r-1")


def test_many_writers_at_once_all_get_through(store: RecordStore, asked: AuditRequest) -> None:
    with store.unit_of_work() as unit:
        unit.register(asked, NOW)

    def register(number: int) -> None:
        with store.unit_of_work() as unit:
            unit.register(asked, f"2026-01-01T00:00:{number:02}Z")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(register, range(20)))
    assert count(store, "registrations") == 21


def test_records_of_a_model_are_found_by_any_of_its_targets_the_newest_first(
    store: RecordStore, asked: AuditRequest, make_record: Make
) -> None:
    later = make_record(id="later", finished="2026-03-01T00:00:00Z")
    alike = [make_record(id=f"same-{at}", finished="2026-02-01T00:00:00Z") for at in range(4)]
    other = make_record(id="other", request=replace(asked, name="another"))
    keep(store, later)
    for record in (*alike, other):
        keep(store, record)
    newest = tuple(item.digest for item in (later, *alike[::-1]))
    with store.unit_of_work() as unit:
        assert unit.digests_of(asked.name, ["gpu", "cpu"]) == newest
        assert unit.digests_of(asked.name, ["gpu"]) == ()


@pytest.mark.parametrize("place", ["artifact", "policy", "target_specs"])
@pytest.mark.parametrize("field", ["name", "version"])
def test_no_record_is_read_that_names_longer(asked: AuditRequest, place: str, field: str) -> None:
    body = parse_json(encode_canonical(asked.to_json()))
    assert isinstance(body, dict)
    part = body[place]
    named = part[0] if isinstance(part, list) else part
    if field not in named:
        return
    named[field] = "n" * (MOST_NAME + 1)
    with pytest.raises(RecordError, match="501 characters"):
        read_json(AuditRequest, body, "request")
