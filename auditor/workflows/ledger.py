"""Keep the ledger: begin it under a key of its own, enter what happened, hand out proofs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from auditor.domain.records import AuditRecord
from auditor.errors import KeyFileError, LedgerError
from auditor.folders import LEDGER, PROOF
from auditor.holding import book_of, signer_of, take_into_use
from auditor.ledgers.events import EventType
from auditor.ledgers.key_events import KeyRole
from auditor.ledgers.openings import Opening
from auditor.ledgers.receipts import Receipt
from auditor.signing.key_roles import refuse_ended
from auditor.signing.ledger_keys import LEDGER_PRIVATE, load_ledger_signer, new_ledger_key
from auditor.signing.passwords import NOBODY, Passwords
from auditor.store.ledger_reading import LedgerReader
from auditor.store.places import Place
from auditor.store.store import Store

LEDGER_ROLE = KeyRole.LEDGER.value
REPORT_ROLE = KeyRole.REPORT.value


def open_kept(place: Place, passwords: Passwords = NOBODY) -> tuple[Store, Path | None]:
    """Open the store with the key of its ledger; where none was begun, the key is made.

    Returns the store, and the private key's path if it was made now; ``passwords`` open a key that
    is encrypted. Raises ``KeyFileError``
    where a ledger was begun under a key that is not in ``home``, and like ``Store.open``.
    """
    store = Store.open(place.database, place.blobs)
    try:
        made = _made_key(store, place)
        return replace(store, signer=load_ledger_signer(place.home, passwords)), made
    except BaseException:
        store.close()
        raise


@contextmanager
def store_if_kept(place: Place | Store) -> Iterator[Store | None]:
    """Open the store to be asked, if there is one: where nothing was kept, nothing is made.

    One that is open already is asked as it is.
    """
    if isinstance(place, Store):
        yield place
        return
    if not place.kept:
        yield None
        return
    store = Store.open(place.database, place.blobs)
    try:
        yield store
    finally:
        store.close()


def _made_key(store: Store, place: Place) -> Path | None:
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
    return new_ledger_key(place.home, place.origin)


def note_keys(store: Store, keys: Mapping[str, str], at: str) -> None:
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
            take_into_use(work, role, public, at)


def enter(store: Store, record: AuditRecord, bundle: bytes) -> bytes:
    """Keep a signed record, and return its receipt (``proof.tlog-proof``).

    Raises ``KeyFileError`` where its key has come to its end while the audit ran.
    """
    with store.unit_of_work() as work:
        life = signer_of(bundle, record.digest, book_of(work.key_entries()))
        if life is None:
            raise KeyFileError(
                f"the record {record.id} is signed by no report key that the ledger knows",
                cure="Repeat the audit with a key that is in use: `auditor keys list` shows them.",
            )
        refuse_ended(life, REPORT_ROLE, record.finished)
        work.save(record, bundle)
    with store.ledger() as ledger:
        return receipt(ledger, record.id)


def entered(store: Store, record: AuditRecord, bundle: bytes) -> Mapping[str, bytes]:
    """Keep a signed record, and return what its folder holds of the ledger."""
    return _with_key(store, enter(store, record, bundle))


def ledger_files(store: Store, record_id: str) -> Mapping[str, bytes]:
    """Return a fresh proof that the store's ledger holds a record, and the ledger's public key."""
    with store.ledger() as ledger:
        return _with_key(store, receipt(ledger, record_id))


def _with_key(store: Store, proof: bytes) -> Mapping[str, bytes]:
    key = {} if store.signer is None else {LEDGER: f"{store.signer.key}\n".encode()}
    return {PROOF: proof, **key}


def receipt(ledger: LedgerReader, event_id: str) -> bytes:
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
    document = entry.document if entry.leaf.type is EventType.KEY_EVENT else None
    opening = Opening(entry.leaf, entry.salt, entry.event.digest, entry.event.subjects, document)
    proof = ledger.tree(size).inclusion(entry.index)
    return Receipt(entry.index, proof, ledger.checkpoint(size), opening.emit()).emit()
