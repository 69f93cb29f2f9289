"""Erases a record's evidence by destroying its keys, and notes it in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.records import AuditRecord
from auditor.errors import RecordError, StoreError
from auditor.reports.folder import DISCLOSURE, ERASURE, RecordFolder
from auditor.store.commitment_keys import SecretStore
from auditor.store.record_store import RecordStore
from auditor.trust.disclosure import DisclosureKey
from auditor.trust.ledger.events import build_erasure_event, erasure_event_id
from auditor.workflows.ledger import build_receipt


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What an erasure came to: records whose evidence is gone, and how many blobs went and stayed.

    ``proof`` is the receipt of the ledger's entry for the record that was named.
    """

    records: tuple[str, ...]
    removed: int
    kept: int
    proof: bytes


def erase_record(
    store: RecordStore, secrets: SecretStore, record: AuditRecord, at: str
) -> ErasureResult:
    """Destroy the key of a record, and the blobs of evidence and data that nothing else names.

    Records judged from the same evidence share its key, and are erased with it. What was destroyed
    already is noted if that is still to be done, so that an erasure that broke off can be
    repeated. Raises ``RecordError`` where nothing of the record was ever sealed, ``StoreError``
    where its key never was here: nothing is noted that was not done.
    """
    if record.request.disclosure is None:
        raise RecordError(
            f"the record {record.id} names its evidence by plain digests, which would still tell",
            cure="Only what was audited with `disclosure: rows` can be erased.",
        )
    secret = secrets.get(record.digest)
    if secret is None and not secrets.destroyed(record.digest):
        raise StoreError(
            f"the key of record {record.id} is not in {secrets.root}",
            cure="Erase it with the AUDITOR_HOME in which it was audited.",
        )
    shared = _shared(secrets, secret) if secret is not None else ()
    names = tuple(dict.fromkeys((record.digest, *shared)))
    blobs = _blobs(secret)
    # The key goes last: it alone knows which blobs are to go, should this break off.
    removed = _remove(store, secrets, blobs, names)
    for name in names:
        secrets.destroy(name)
    for name in names:
        _note(store, name, at)
    with store.ledger() as ledger:
        proof = build_receipt(ledger, erasure_event_id(record))
    return ErasureResult(names, removed, len(blobs) - removed, proof)


def build_erased_files(folder: RecordFolder, proof: bytes) -> Mapping[str, bytes]:
    """Return the files of a folder without what opens its evidence, and with the ledger's proof."""
    return {**folder.files(DISCLOSURE), ERASURE: proof}


def _shared(secrets: SecretStore, secret: DisclosureKey) -> tuple[str, ...]:
    found = ((name, secrets.get(name)) for name in secrets.records())
    return tuple(name for name, other in found if other is not None and other.key == secret.key)


def _blobs(secret: DisclosureKey | None) -> frozenset[str]:
    if secret is None:
        return frozenset()
    data = {item.digest for item in secret.inputs.values()}
    return frozenset(secret.blobs.values()) | data


def _remove(
    store: RecordStore, secrets: SecretStore, blobs: frozenset[str], names: tuple[str, ...]
) -> int:
    """Remove the blobs that no other record or request needs, and return how many."""
    others = [name for name in secrets.records() if name not in names]
    with store.unit_of_work() as work:
        # A key without a record is what an audit left that broke off: it needs nothing.
        kept = [name for name in others if work.find_record_by_digest(name) is not None]
        needed = frozenset[str]().union(*(_blobs(secrets.get(name)) for name in kept))
        free = [name for name in sorted(blobs - needed) if not work.names_blob(name)]
    for name in free:
        store.blobs.remove(name)
    return len(free)


def _note(store: RecordStore, name: str, at: str) -> None:
    with store.unit_of_work() as work:
        stored = work.find_record_by_digest(name)
        if stored is None:
            return  # an audit that broke off before its record was kept
        record = stored.read()
        if not work.happened_before(erasure_event_id(record)):
            work.append(*build_erasure_event(record, at))
