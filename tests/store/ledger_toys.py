"""A small ledger with every kind of row in it, and hands that reach past its triggers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, text

from auditor.domain.canonical import canonical, digest
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.keeping import note_keys
from auditor.ledgers.cosigning import cosign
from auditor.ledgers.events import Event, EventType
from auditor.ledgers.notes import MemorySigner, Note
from auditor.store.reaudits.acts import SERVICE_ROWS
from auditor.store.reaudits.reaudit import Known, reaudit
from auditor.store.store import Store

NOW = "2026-01-01T00:00:00Z"
LOG = MemorySigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = MemorySigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
TABLES = (
    "requests", "registrations", "registration_subjects", "records", "record_targets",
    "prov_entities", "prov_activities", "prov_edges", "ledger_leaves",
    "ledger_openings", "ledger_tiles", "ledger_state", "ledger_checkpoints", "ledger_cosignatures",
    "acts",
)  # fmt: skip


def fill(store: Store, record: AuditRecord) -> Store:
    """Begin a ledger and put two records, a waiver and a cosignature into it: 9 leaves."""
    signed = replace(store, signer=LOG)
    note_keys(signed, {"report": "a public key"}, NOW)
    for item in (record, replace(record, id="r-2")):
        with signed.unit_of_work() as work:
            work.register(item.request, NOW)
        with signed.unit_of_work() as work:
            work.save(item, b"bundle of " + item.id.encode())
    waiver = canonical({"rule": "accuracy"})
    with signed.unit_of_work() as work:
        work.append(Event(EventType.WAIVER, digest(waiver), NOW, {"record": record.digest}), waiver)
    with signed.ledger() as ledger:
        size, note = ledger.head().size, ledger.checkpoint()
    line = str(cosign(Note.parse(note).text, 1_700_000_000, WITNESS))
    with signed.unit_of_work() as work:
        work.cosigned(size, line, NOW)
    return signed


def checkpoint(store: Store) -> bytes:
    """Return the last checkpoint, as somebody else would keep it."""
    with store.ledger() as ledger:
        return ledger.checkpoint()


def failures(store: Store, kept: bytes | None = None) -> str:
    """Audit the ledger again and return all that fails, a line each."""
    known = Known(LOG.key, (WITNESS.key,), {} if kept is None else {"kept": kept})
    return "\n".join(f"{step.name}: {step.detail}" for step in failed(store, known))


def failed(store: Store, known: Known) -> list[Step]:
    """Return the steps that fail."""
    audited = reaudit(store.engine, known, SERVICE_ROWS)
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
