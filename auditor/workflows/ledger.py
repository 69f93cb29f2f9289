"""Ledger use cases: create it, append events, and issue proofs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from auditor.domain.key_roles import KeyRole
from auditor.domain.records import AuditRecord
from auditor.errors import KeyFileError, LedgerError
from auditor.reports.folder import LEDGER, PROOF
from auditor.store.blob_urls import StoreLocation
from auditor.store.key_lifecycle import (
    build_key_book,
    find_record_signer,
    register_key_use,
)
from auditor.store.ledger import LedgerReader
from auditor.store.record_store import RecordStore
from auditor.trust.keys.files import (
    NOBODY,
    PasswordSource,
)
from auditor.trust.keys.ledger_key import LEDGER_PRIVATE, create_ledger_key, load_ledger_signer
from auditor.trust.keys.rotation import refuse_ended_key
from auditor.trust.ledger.events import LeafOpening, LedgerEventType
from auditor.trust.ledger.key_events import KeyRegistry
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.workflows.settings import AuditorSettings

LEDGER_ROLE = KeyRole.LEDGER.value
REPORT_ROLE = KeyRole.REPORT.value


def open_ledger_store(
    place: StoreLocation, passwords: PasswordSource = NOBODY
) -> tuple[RecordStore, Path | None]:
    """Open the store with the key of its ledger; where none was begun, the key is made.

    Returns the store, and the private key's path if it was made now; ``passwords`` open a key that
    is encrypted. Raises ``KeyFileError`` where a ledger was begun under a key that is not in
    ``home``, and like ``RecordStore.open``.
    """
    store = RecordStore.open(place.database, place.blobs)
    try:
        made = _made_key(store, place)
        return replace(store, signer=load_ledger_signer(place.home, passwords)), made
    except BaseException:
        store.close()
        raise


@contextmanager
def open_existing_store(place: StoreLocation | RecordStore) -> Iterator[RecordStore | None]:
    """Open the store to be asked, if there is one: where nothing was kept, nothing is made.

    One that is open already is asked as it is.
    """
    if isinstance(place, RecordStore):
        yield place
        return
    if not place.kept:
        yield None
        return
    store = RecordStore.open(place.database, place.blobs)
    try:
        yield store
    finally:
        store.close()


def _made_key(store: RecordStore, place: StoreLocation) -> Path | None:
    if (place.home / LEDGER_PRIVATE).exists():
        return None
    with store.ledger() as ledger:
        begun = ledger.head().size
    if begun:
        raise KeyFileError(
            f"the store's ledger has {begun} leaves, and {place.home} has no {LEDGER_PRIVATE} to "
            "go on with",
            cure="Use the AUDITOR_HOME in which it was begun, or copy both halves of its key.",
        )
    return create_ledger_key(place.home, place.origin)


def log_key_roles(store: RecordStore, keys: Mapping[str, str], at: str) -> None:
    """Put down which public key is in use in which role, once each.

    In a ledger that begins, what the store held before comes first. Raises ``KeyFileError`` for a
    key that has come to its end, or has another role.
    """
    known = dict(keys)
    if store.signer is not None:
        known[LEDGER_ROLE] = str(store.signer.key)
    if len(set(known.values())) != len(known):
        raise KeyFileError("one key is given in two roles", cure="Give each role its own key.")
    with store.unit_of_work() as work:
        work.adopt()
        for role, public in sorted(known.items()):
            register_key_use(work, role, public, at)


def append_record(store: RecordStore, record: AuditRecord, bundle: bytes) -> bytes:
    """Keep a signed record, and return its receipt (``proof.tlog-proof``).

    Raises ``KeyFileError`` where its key has come to its end while the audit ran.
    """
    with store.unit_of_work() as work:
        life = find_record_signer(bundle, record.digest, build_key_book(work.key_entries()))
        if life is None:
            raise KeyFileError(
                f"the record {record.id} is signed by no report key that the ledger knows",
                cure="Repeat the audit with a key that is in use: `auditor keys list` shows them.",
            )
        refuse_ended_key(life, REPORT_ROLE, record.finished)
        work.save(record, bundle)
    with store.ledger() as ledger:
        return build_receipt(ledger, record.id)


def append_record_with_proof(
    store: RecordStore, record: AuditRecord, bundle: bytes
) -> Mapping[str, bytes]:
    """Keep a signed record, and return what its folder holds of the ledger."""
    return _with_key(store, append_record(store, record, bundle))


def build_ledger_files(store: RecordStore, record_id: str) -> Mapping[str, bytes]:
    """Return a fresh proof that the store's ledger holds a record, and the ledger's public key."""
    with store.ledger() as ledger:
        return _with_key(store, build_receipt(ledger, record_id))


def _with_key(store: RecordStore, proof: bytes) -> Mapping[str, bytes]:
    key = {} if store.signer is None else {LEDGER: f"{store.signer.key}\n".encode()}
    return {PROOF: proof, **key}


def build_receipt(ledger: LedgerReader, event_id: str) -> bytes:
    """Return the proof that the last entry with an id is in the ledger.

    It leads to the last cosigned checkpoint, or where none covers the entry, to the last one.
    Raises ``LedgerError`` where there is none.
    """
    found = ledger.find(event_id)
    if not found:
        raise LedgerError(
            f"the ledger has no entry {event_id[:80]!r}",
            cure="`auditor ledger show` lists what it has.",
        )
    entry = found[-1]
    size = ledger.size_for(entry.index)
    # Of all documents, only those of keys are for everyone: others may name people.
    document = entry.document if entry.leaf.type is LedgerEventType.KEY_EVENT else None
    opening = LeafOpening(
        entry.leaf, entry.salt, entry.event.digest, entry.event.subjects, document
    )
    proof = ledger.tree(size).inclusion(entry.index)
    return LedgerReceipt(entry.index, proof, ledger.checkpoint(size), opening.emit()).emit()


def load_key_registry(settings: AuditorSettings) -> KeyRegistry:
    """Return what the ledger tells of keys; nothing where none was begun."""
    with open_existing_store(settings.place) as store:
        if store is None:
            return KeyRegistry()
        with store.ledger() as ledger:
            return build_key_book(ledger.key_entries())
