"""An erasure destroys what opens a record's evidence, and leaves record and ledger whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ledger_toys import LOG, NOW, failures
from sqlalchemy import text

from auditor.domain.artifacts import FileDigest
from auditor.domain.evidence import encode_evidence
from auditor.domain.json import compute_digest
from auditor.domain.lineage import LineageEdge
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.requests import AuditRequest, InputFile
from auditor.errors import RecordError, StoreError
from auditor.store.commitment_keys import SecretStore
from auditor.store.record_store import RecordStore
from auditor.trust.disclosure import (
    DisclosureKey,
    EvidenceLocation,
    commit_evidence,
    conceal_inputs,
)
from auditor.trust.ledger.events import LedgerEventType, open_receipt
from auditor.workflows.disclosure.erase import erase_record
from auditor.workflows.ledger import log_key_roles

Make = Callable[..., AuditRecord]
LABELS = np.array([0, 1, 1, 0])
DATA = b"id,y\nr0,no\nr1,yes\n"
KEYS = (bytes(32), b"k" * 32)


class Kept:
    """A store with committed records in it, each with its key and its blobs."""

    def __init__(
        self, store: RecordStore, secrets: SecretStore, asked: AuditRequest, make: Make
    ) -> None:
        self.store, self.secrets = replace(store, signer=LOG), secrets
        self.asked, self.make = asked, make
        log_key_roles(self.store, {"report": "a public key"}, NOW)

    def add(self, name: str, key: bytes) -> AuditRecord:
        """Keep a record of the same labels and data, under a key of its own."""
        data = FileDigest("test.csv", len(DATA), compute_digest(DATA).removeprefix("sha256:"))
        plain = replace(self.asked, inputs=(InputFile("test.csv", data),))
        request, secret = conceal_inputs(plain, {"test.csv"}, key)
        bound = commit_evidence(
            key, EvidenceLocation("cpu", "quality.accuracy", "labels"), LABELS, 4
        )
        seen = CheckObservation(
            "cpu", "quality.accuracy", 2, {}, 7, {"labels": bound.digest}, committed=True
        )
        edges = (LineageEdge(name, "wasDerivedFrom", bound.digest, "evidence:quality.accuracy"),)
        record = self.make(id=name, request=request, observations=(seen,), lineage=edges)
        for raw in (encode_evidence(LABELS).raw, bound.emit(), DATA):
            self.store.blobs.put(raw)
        named = {bound.digest: encode_evidence(LABELS).digest}
        self.secrets.put(record.digest, replace(secret, blobs=named))
        self.keep(record)
        return record

    def keep(self, record: AuditRecord) -> None:
        with self.store.unit_of_work() as work:
            work.register(record.request, NOW)
        with self.store.unit_of_work() as work:
            work.save(record, b"bundle of " + record.id.encode())

    def has(self, raw: bytes) -> bool:
        return self.store.blobs.has(compute_digest(raw))


@pytest.fixture
def kept(store: RecordStore, home: Path, asked: AuditRequest, make_record: Make) -> Kept:
    return Kept(store, SecretStore(home / "disclosure"), asked, make_record)


def test_an_erasure_destroys_the_key_and_what_it_opened(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    commitment = next(iter(record.observations[0].evidence.values()))
    done = erase_record(kept.store, kept.secrets, record, NOW)
    assert (done.records, done.removed, done.kept) == ((record.digest,), 2, 0)
    assert kept.secrets.get(record.digest) is None
    assert not kept.has(encode_evidence(LABELS).raw)
    assert not kept.has(DATA)
    assert kept.store.blobs.has(commitment)  # what the record names stays whole


def test_record_and_ledger_stay_whole_and_the_ledger_says_what_was_done(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    done = erase_record(kept.store, kept.secrets, record, NOW)
    assert not failures(kept.store)
    with kept.store.unit_of_work() as work:
        stored = work.find_record("r-1")
    assert stored is not None
    assert stored.read() == record
    found = open_receipt(done.proof, LOG.key).opening
    assert (found.event.type, found.event.id) == (LedgerEventType.ERASURE, "erasure:r-1")
    assert found.event.subjects == {"record": record.digest}


def test_the_leaf_of_an_erasure_names_no_person_and_no_digest(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    done = erase_record(kept.store, kept.secrets, record, NOW)
    leaf = open_receipt(done.proof, LOG.key).opening.leaf.entry()
    assert record.digest.removeprefix("sha256:").encode() not in leaf
    assert b"test.csv" not in leaf


def test_an_erasure_can_be_repeated_and_is_noted_once(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    first = erase_record(kept.store, kept.secrets, record, NOW)
    again = erase_record(kept.store, kept.secrets, record, NOW)
    assert (again.removed, again.proof) == (0, first.proof)
    with kept.store.ledger() as ledger:
        assert len(ledger.find("erasure:r-1")) == 1


def test_an_erasure_that_broke_off_before_it_was_noted_is_finished(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    kept.secrets.destroy(record.digest)
    erase_record(kept.store, kept.secrets, record, NOW)
    with kept.store.ledger() as ledger:
        assert len(ledger.find("erasure:r-1")) == 1


def test_what_an_audit_left_that_broke_off_needs_nothing(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    secret = kept.secrets.get(record.digest)
    assert secret is not None
    kept.secrets.put("sha256:" + "ab" * 32, replace(secret, key=KEYS[1]))
    assert erase_record(kept.store, kept.secrets, record, NOW).removed == 2


def test_nothing_is_noted_where_the_key_never_was(kept: Kept, tmp_path: Path) -> None:
    record = kept.add("r-1", KEYS[0])
    with pytest.raises(StoreError, match="the key of record r-1 is not in"):
        erase_record(kept.store, SecretStore(tmp_path / "elsewhere"), record, NOW)
    with kept.store.ledger() as ledger:
        assert not ledger.find("erasure:r-1")
    assert kept.secrets.get(record.digest) is not None
    assert kept.has(encode_evidence(LABELS).raw)


def test_what_another_record_needs_stays_until_it_is_erased_too(kept: Kept) -> None:
    first, second = kept.add("r-1", KEYS[0]), kept.add("r-2", KEYS[1])
    done = erase_record(kept.store, kept.secrets, first, NOW)
    assert (done.removed, done.kept) == (0, 2)
    assert kept.has(encode_evidence(LABELS).raw)
    assert kept.secrets.get(second.digest) is not None
    assert erase_record(kept.store, kept.secrets, second, NOW).removed == 2
    assert not kept.has(encode_evidence(LABELS).raw)


def test_a_record_that_names_the_plain_digest_keeps_the_blob(kept: Kept, make_record: Make) -> None:
    record = kept.add("r-1", KEYS[0])
    plain = encode_evidence(LABELS).digest
    edges = (LineageEdge("r-3", "wasDerivedFrom", plain, "evidence:quality.accuracy"),)
    kept.keep(make_record(id="r-3", lineage=edges))
    erase_record(kept.store, kept.secrets, record, NOW)
    assert kept.has(encode_evidence(LABELS).raw)
    assert not kept.has(DATA)


def test_a_request_that_names_the_data_keeps_them(kept: Kept, asked: AuditRequest) -> None:
    record = kept.add("r-1", KEYS[0])
    file = FileDigest("test.csv", len(DATA), compute_digest(DATA).removeprefix("sha256:"))
    with kept.store.unit_of_work() as work:
        work.register(replace(asked, inputs=(InputFile("test.csv", file),)), NOW)
    erase_record(kept.store, kept.secrets, record, NOW)
    assert kept.has(DATA)
    assert not kept.has(encode_evidence(LABELS).raw)


def test_records_judged_from_the_same_evidence_are_erased_with_it(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    judged = replace(record, id="r-1b", derived_from=record.digest)
    secret = kept.secrets.get(record.digest)
    assert secret is not None
    kept.secrets.put(judged.digest, secret)
    kept.keep(judged)
    done = erase_record(kept.store, kept.secrets, judged, NOW)
    assert set(done.records) == {record.digest, judged.digest}
    assert not list(kept.secrets.records())
    with kept.store.ledger() as ledger:
        assert ledger.find("erasure:r-1")
        assert ledger.find("erasure:r-1b")
    assert not failures(kept.store)


def test_a_plain_record_cannot_be_erased(kept: Kept, make_record: Make) -> None:
    record = make_record(id="r-4")
    kept.keep(record)
    with pytest.raises(RecordError, match="plain digests"):
        erase_record(kept.store, kept.secrets, record, NOW)


def test_an_erasure_that_was_taken_back_by_hand_is_found(kept: Kept) -> None:
    record = kept.add("r-1", KEYS[0])
    erase_record(kept.store, kept.secrets, record, NOW)
    with kept.store.engine.begin() as connection:
        for trigger in ("DROP TRIGGER ledger_leaves_refuse_delete",):
            if connection.dialect.name == "sqlite":
                connection.execute(text(trigger))
            else:
                connection.execute(text("ALTER TABLE ledger_leaves DISABLE TRIGGER USER"))
                connection.execute(text("ALTER TABLE ledger_openings DISABLE TRIGGER USER"))
        last = connection.execute(text("SELECT max(idx) FROM ledger_leaves")).scalar()
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER ledger_openings_refuse_delete"))
        for table in ("ledger_openings", "ledger_leaves"):
            connection.execute(text(f"DELETE FROM {table} WHERE idx = {last}"))  # noqa: S608
    assert "leaf" in failures(kept.store)


def test_a_key_is_its_owners_alone_and_leaves_nothing_behind(home: Path) -> None:
    secrets = SecretStore(home / "disclosure")
    secrets.put("sha256:" + "ab" * 32, DisclosureKey(bytes(32), {"a": "b"}))
    (place,) = (home / "disclosure").iterdir()
    assert place.stat().st_mode & 0o777 == 0o600
    other = home / "link"
    other.hardlink_to(place)  # what still reaches the same bytes
    secrets.destroy("sha256:" + "ab" * 32)
    assert secrets.destroyed("sha256:" + "ab" * 32)
    assert not list(secrets.records())
    assert not other.read_bytes()


def test_a_damaged_key_is_named(home: Path) -> None:
    secrets = SecretStore(home / "disclosure")
    secrets.put("sha256:" + "ab" * 32, DisclosureKey(bytes(32)))
    (place,) = (home / "disclosure").iterdir()
    place.write_bytes(b"{}")
    with pytest.raises(RecordError, match="not of its form"):
        secrets.get("sha256:" + "ab" * 32)
    with pytest.raises(StoreError):
        SecretStore(place).put("sha256:" + "cd" * 32, DisclosureKey(bytes(32)))
