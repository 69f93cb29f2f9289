"""A small ledger with every kind of row in it, and hands that reach past its triggers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, text

from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import LedgerEvent, LedgerEventType
from auditor.trust.ledger.notes import MemoryNoteSigner, SignedNote, cosign_checkpoint
from auditor.workflows.ledger import log_key_roles

NOW = "2026-01-01T00:00:00Z"
LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = MemoryNoteSigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
TABLES = (
    "requests", "registrations", "registration_subjects", "records", "record_targets",
    "prov_entities", "prov_activities", "prov_edges", "ledger_leaves",
    "ledger_openings", "ledger_tiles", "ledger_state", "ledger_checkpoints", "ledger_cosignatures",
    "acts",
)  # fmt: skip


def fill(store: RecordStore, record: AuditRecord) -> RecordStore:
    """Begin a ledger and put two records, a waiver and a cosignature into it: 9 leaves."""
    signed = replace(store, signer=LOG)
    log_key_roles(signed, {"report": "a public key"}, NOW)
    for item in (record, replace(record, id="r-2")):
        with signed.unit_of_work() as work:
            work.register(item.request, NOW)
        with signed.unit_of_work() as work:
            work.save(item, b"bundle of " + item.id.encode())
    waiver = encode_canonical({"rule": "accuracy"})
    with signed.unit_of_work() as work:
        work.append(
            LedgerEvent(
                LedgerEventType.WAIVER, compute_digest(waiver), NOW, {"record": record.digest}
            ),
            waiver,
        )
    with signed.ledger() as ledger:
        size, note = ledger.head().size, ledger.checkpoint()
    line = str(cosign_checkpoint(SignedNote.parse(note).text, 1_700_000_000, WITNESS))
    with signed.unit_of_work() as work:
        work.cosigned(size, line, NOW)
    return signed


def checkpoint(store: RecordStore) -> bytes:
    """Return the last checkpoint, as somebody else would keep it."""
    with store.ledger() as ledger:
        return ledger.checkpoint()


def failures(store: RecordStore, kept: bytes | None = None) -> str:
    """Audit the ledger again and return all that fails, a line each."""
    known = LedgerReference(LOG.key, (WITNESS.key,), {} if kept is None else {"kept": kept})
    return "\n".join(f"{step.name}: {step.detail}" for step in failed(store, known))


def failed(store: RecordStore, known: LedgerReference) -> list[VerificationStep]:
    """Return the steps that fail."""
    audited = audit_ledger(store.engine, known, SERVICE_ROWS)
    return [step for step in audited if step.result is StepResult.FAILED]


@contextmanager
def hands(engine: Engine) -> Iterator[Connection]:
    """Reach into the database as its owner can: without triggers, without foreign keys."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in connection.scalars(text(names)).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in TABLES:
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield connection
        connection.commit()
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            connection.exec_driver_sql("BEGIN")
