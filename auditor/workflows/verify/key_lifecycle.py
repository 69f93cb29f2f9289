"""Verifies offline a record's signing key by the ledger proof of the key's last change."""

from dataclasses import dataclass

from auditor.domain.key_roles import KeyRole
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError
from auditor.reports.folder import KEY_PROOF, PROOF, RecordFolder
from auditor.trust.ledger.events import EventInclusion, open_receipt
from auditor.trust.ledger.key_events import KeyChange, KeyEvent
from auditor.trust.ledger.notes import NoteKey
from auditor.trust.signatures.trusted_signers import VerificationTime

NAME = "key's life"
_LATER = "what happened to it since cannot be known offline"


@dataclass(frozen=True, slots=True)
class _KeyChangeProof:
    """A change to the key, at a leaf; the record's own leaf, where it has one; a proven time."""

    told: KeyEvent
    index: int
    record: int | None
    moment: VerificationTime | None


def check_key_lifecycle(
    folder: RecordFolder,
    record: AuditRecord,
    key_pem: bytes,
    ledger: NoteKey | None,
    moment: VerificationTime | None = None,
) -> VerificationStep:
    """Look at the proof of what happened to the record's key (``signer.tlog-proof``).

    ``moment`` is a time at which the record's signature is proven to have been there. Only what
    lies in the folder can be known: without a proof the key may have been revoked long ago.
    """
    if not folder.has(KEY_PROOF):
        missing = "the folder holds no proof of what the ledger says of the key"
        return VerificationStep(NAME, StepResult.NOT_PRESENT, missing)
    if ledger is None:
        return VerificationStep(NAME, StepResult.NOT_CHECKED, "no ledger key given (--ledger-key)")
    place = KEY_PROOF
    try:
        found = open_receipt(folder.read(KEY_PROOF), ledger)
        told = KeyEvent.parse(found.opening.document or b"")
        place = PROOF
        own = open_receipt(folder.read(PROOF), ledger).index if folder.has(PROOF) else None
    except AuditorError as error:
        return VerificationStep(NAME, StepResult.FAILED, f"{place}: {error.problem}")
    if told.public.encode() != key_pem or told.role != KeyRole.REPORT:
        return VerificationStep(NAME, StepResult.FAILED, f"{KEY_PROOF} is of another key or role")
    proven = _KeyChangeProof(told, found.index, own, moment)
    mistakes_told = proven.told
    if mistakes_told.change is KeyChange.REVOKED:
        since = mistakes_told.since or ""
        if proven.moment is None:
            older = record.finished < since and _before(proven)
        else:
            older = str(proven.moment) < since
        mistakes = [] if older else [f"the key was revoked since {since}: {mistakes_told.reason}"]
    elif mistakes_told.change is KeyChange.RETIRED and not _before(proven):
        mistakes = [
            f"the key was retired by leaf {proven.index}, and nothing shows the record before"
        ]
    elif mistakes_told.not_after is not None and record.finished > mistakes_told.not_after:
        mistakes = [f"the key was to sign until {mistakes_told.not_after}"]
    else:
        mistakes = []
    return VerificationStep.of(NAME, mistakes, _words(proven, found))


def _before(proven: _KeyChangeProof) -> bool:
    """Whether the record lies in the ledger before what happened to its key."""
    return proven.record is not None and proven.record < proven.index


def _words(proven: _KeyChangeProof, found: EventInclusion) -> str:
    told, where = proven.told, f"leaf {proven.index} of {found.head.size}"
    if told.change is KeyChange.REVOKED:
        return f"the key was revoked since {told.since} ({where}), and the record is older"
    if told.change is KeyChange.RETIRED:
        return f"the key was retired after the record ({where}); {_LATER}"
    return f"the ledger took the key into use for reports ({where}); {_LATER}"
