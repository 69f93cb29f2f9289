"""Take the baseline record that an audit is held against, once its signature holds."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.auditfiles import AuditFile
from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.errors import AuditorError, RecordError
from auditor.inputs.resolve import Locate
from auditor.reports.folder import BUNDLE, KNOWN, RECORD, RecordFolder
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.keys.files import load_public_key
from auditor.trust.signatures.records import verify_record

LAST = "last"
"""What is written where the newest record of the store is asked for, and no folder."""
CURE = "Name the folder of a record (--baseline, or `baseline` in the audit file), unchanged."
KEY = (
    "Name the public key that signed it (--baseline-key, or `baseline_key` in the audit file); "
    "without one it must be signed with your own."
)


@dataclass(frozen=True, slots=True)
class BaselineSource:
    """Where a baseline record lies, and the public key that must have signed it, as PEM.

    ``folder`` is ``None`` where the newest record of the model in the store is asked for.
    """

    folder: Path | None
    key: bytes


def load_baseline_record(folder: RecordFolder, key: bytes) -> AuditRecord:
    """Return the record that a baseline is taken from: of its folder, the signed part is read.

    Raises ``RecordError`` unless the key signed exactly this record.
    """
    return read_signed_record(folder.read(RECORD), folder.read(BUNDLE), key, str(folder.path))


def list_stored_records(
    work: UnitOfWork, model: str, targets: Collection[str], key: bytes
) -> Iterator[AuditRecord | RecordError]:
    """Yield the records of a model on one of some targets that a store keeps, the newest first.

    Of one that the key did not sign, or that this version cannot read, the error comes instead.
    """
    for name in work.digests_of(model, targets):
        stored = work.find_record_by_digest(name)
        if stored is None:
            continue
        try:
            yield read_signed_record(stored.body, stored.bundle, key, f"record {stored.digest}")
        except RecordError as error:
            yield error


def choose_baseline(
    file: AuditFile | None, locate: Locate, named: str | None, key: Path | None, own: bytes
) -> BaselineSource | None:
    """Return which baseline is asked for, of the command line (``named``, ``key``) or the file.

    ``own`` is the key that signs reports here. Raises ``RecordError`` for a key of no baseline.
    """
    written = None if file is None else file.baseline
    of_file = None if file is None or file.baseline_key is None else locate(file.baseline_key)
    pem = key or of_file
    asked = written if named is None else named
    if asked is None:
        if pem is None:
            return None
        raise RecordError(f"{pem} is the key of a baseline, and none is named", cure=CURE)
    public = own if pem is None else load_public_key(pem).pem
    if asked == LAST:
        return BaselineSource(None, public)
    return BaselineSource(locate(asked) if named is None else Path(named), public)


def read_signed_record(raw: bytes, bundle: bytes, key: bytes, name: str) -> AuditRecord:
    """Return a record as a baseline. Raises ``RecordError`` unless a key (PEM) signed its bytes."""
    found = verify_record(bundle, raw, key, files=KNOWN)
    if not found.verified:
        said = "; ".join(item.text for item in found.objections) or "no signature holds"
        raise RecordError(f"the baseline {name} does not verify: {said}", cure=KEY)
    record = _read(raw, name)
    if record.digest != compute_digest(raw):
        raise RecordError(f"the baseline {name} is no record of auditor", cure=CURE)
    return record


def _read(raw: bytes, name: str) -> AuditRecord:
    try:
        return read_record(raw)
    except AuditorError as error:
        raise RecordError(f"{name}: {error.problem}", cure=error.cure) from None
