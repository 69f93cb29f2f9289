"""Keep the ledger: begin it under a key of its own, enter what happened, hand out proofs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.domain.records import AuditRecord
from auditor.errors import KeyFileError, LedgerError
from auditor.folders import LEDGER, PROOF
from auditor.ledgers.key_events import key_event_id, key_in_use
from auditor.ledgers.openings import Opening
from auditor.ledgers.receipts import Receipt
from auditor.signing.ledger_keys import LEDGER_PRIVATE, load_ledger_signer, new_ledger_key
from auditor.store.ledger_reading import LedgerReader
from auditor.store.store import Store

LEDGER_ROLE = "ledger"
REPORT_ROLE = "report"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger lives, and the name (``origin``) that it takes when it begins."""

    database: str
    blobs: Path
    home: Path
    origin: str


def open_kept(place: Place) -> tuple[Store, Path | None]:
    """Open the store with the key of its ledger; where none was begun, the key is made.

    Returns the store, and the private key's path if it was made now. Raises ``KeyFileError``
    where a ledger was begun under a key that is not in ``home``, and like ``Store.open``.
    """
    store = Store.open(place.database, place.blobs)
    try:
        made = _made_key(store, place)
        return replace(store, signer=load_ledger_signer(place.home)), made
    except BaseException:
        store.close()
        raise


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

    In a ledger that begins, what the store held before comes first.
    """
    known = dict(keys)
    if store.signer is not None:
        known[LEDGER_ROLE] = str(store.signer.key)
    with store.unit_of_work() as work:
        work.adopt()
        for role, public in sorted(known.items()):
            if not work.happened_before(key_event_id(role, public)):
                event, document = key_in_use(role, public, at)
                work.append(event, document)


def enter(store: Store, record: AuditRecord, bundle: bytes) -> bytes:
    """Keep a signed record, and return its receipt (``proof.tlog-proof``)."""
    with store.unit_of_work() as work:
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
    opening = Opening(entry.leaf, entry.salt, entry.event.digest, entry.event.subjects)
    proof = ledger.tree(size).inclusion(entry.index)
    return Receipt(entry.index, proof, ledger.checkpoint(size), opening.emit()).emit()
