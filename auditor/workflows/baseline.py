"""Loads and verifies the baseline record that an audit is compared with."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import LAST, list_regressed_rules
from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.errors import AuditorError, RecordError, UsageError
from auditor.inputs.resolve import Locate
from auditor.reports.folder import BUNDLE, RECORD, RecordFolder, known_files
from auditor.store.blob_urls import StoreLocation
from auditor.store.record_store import RecordStore
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.keys.files import load_public_key
from auditor.trust.signatures.records import verify_record
from auditor.workflows.challenge_status import (
    list_challenges,
    list_stored_challenges,
    refuse_challenged_record,
)
from auditor.workflows.ledger import open_existing_store

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
    asked: str | Path | None, key: str | Path | None, locate: Locate, own: bytes
) -> BaselineSource | None:
    """Return which baseline is asked for; ``locate`` finds what the audit file names.

    ``own`` is the key that signs reports here. Raises ``RecordError`` for a key of no baseline.
    """
    pem = locate(key) if isinstance(key, str) else key
    if asked is None:
        if pem is None:
            return None
        raise RecordError(f"{pem} is the key of a baseline, and none is named", cure=CURE)
    public = own if pem is None else load_public_key(pem).pem
    if asked == LAST:
        return BaselineSource(None, public)
    return BaselineSource(locate(asked) if isinstance(asked, str) else asked, public)


def read_signed_record(raw: bytes, bundle: bytes, key: bytes, name: str) -> AuditRecord:
    """Return a record as a baseline. Raises ``RecordError`` unless a key (PEM) signed its bytes."""
    found = verify_record(bundle, raw, key, files=known_files())
    if not found.verified:
        said = "; ".join(item.text for item in found.objections) or "no signature holds"
        raise RecordError(f"the baseline {name} does not verify: {said}", cure=KEY)
    try:
        record = read_record(raw)
    except AuditorError as error:
        raise RecordError(f"{name}: {error.problem}", cure=error.cure) from None
    if record.digest != compute_digest(raw):
        raise RecordError(f"the baseline {name} is not a record of auditor", cure=CURE)
    return record


def load_named_baseline(
    named: str | None, key: Path | None, own: bytes, place: StoreLocation
) -> AuditRecord | None:
    """Return the record in a folder that limits are taken from, if one is named.

    ``own`` is the key (PEM) that signs here, ``place`` the store whose challenges count. Raises
    ``RecordError`` for one whose signature does not hold, or that a challenge refuted.
    """
    compared = choose_baseline(named, key, Path, own)
    if compared is None:
        return None
    if compared.folder is None:
        raise UsageError(
            f"--baseline {LAST} is for audits: the newest record may be the one to judge again",
            cure=f"Name the folder of a record; ./{LAST} is a folder of that name.",
        )
    return _load_unchallenged(compared.folder, compared.key, place)


def load_audit_baseline(  # noqa: PLR0913, PLR0917 -- who asks for which, and where it may lie
    file: AuditFile,
    locate: Locate,
    own: bytes,
    store: RecordStore,
    place: StoreLocation,
    say: Callable[[str], None],
) -> AuditRecord | None:
    """Return the record that an audit is held against, if its caller or its file names one.

    Raises ``RecordError`` like ``load_named_baseline``; where the newest in the ``store`` is asked
    for and there is none that holds, that is said, and the audit goes on without.
    """
    compared = choose_baseline(file.baseline, file.baseline_key, locate, own)
    if compared is None:
        return None
    if compared.folder is None:
        return _find_newest(store, file, compared.key, say)
    return _load_unchallenged(compared.folder, compared.key, place)


def is_baseline_stored(file: AuditFile, place: StoreLocation) -> bool:
    """Whether a store keeps a record that an audit against the newest one may find."""
    targets = [spec.name for spec in file.targets]
    with open_existing_store(place) as store:
        if store is None:
            return False
        with store.unit_of_work() as work:
            return bool(work.digests_of(file.model.name, targets))


def _load_unchallenged(folder: Path, key: bytes, place: StoreLocation) -> AuditRecord:
    held = RecordFolder(folder)
    record = load_baseline_record(held, key)
    refuse_challenged_record(record, list_challenges(record, held, place))
    return record


def _find_newest(
    store: RecordStore, file: AuditFile, key: bytes, say: Callable[[str], None]
) -> AuditRecord | None:
    targets = [spec.name for spec in file.targets]
    with store.unit_of_work() as work:
        for found in list_stored_records(work, file.model.name, targets, key):
            if isinstance(found, RecordError):
                say(f"Passed over: {found.problem}")
            elif list_stored_challenges(found, work):
                say(f"Passed over: record {found.digest} was challenged")
            elif behind := list_regressed_rules(found):
                say(
                    f"Passed over: record {found.digest} did not keep {', '.join(behind)} against "
                    "its own baseline. To begin anew from what is, audit once without a baseline"
                )
            else:
                request = found.request
                say(
                    f"Baseline: {request.name} {request.version}, decided {found.finished}, "
                    f"verdict {found.verdict.value}, record {found.digest}"
                )
                return found
    say(
        f"No baseline: no record of {file.model.name} on {', '.join(targets)} that holds is kept "
        "here, so this audit is held against none"
    )
    return None
