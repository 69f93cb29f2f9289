"""Verifies the ledger inclusion proof in a record's folder."""

from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError
from auditor.reports.folder import BUNDLE, ERASURE, LEDGER, PROOF, RecordFolder
from auditor.trust.ledger.events import (
    EventInclusion,
    LeafOpening,
    is_erasure_event,
    is_event_of_record,
    open_receipt,
)
from auditor.trust.ledger.notes import NoteKey, SignedNote, find_cosigners
from auditor.trust.ledger.receipts import LedgerReceipt

NAME = "inclusion proof"


def check_inclusion(
    folder: RecordFolder,
    record: AuditRecord,
    key: NoteKey | None,
    witnesses: tuple[NoteKey, ...] = (),
) -> VerificationStep:
    """Look at the proof that the ledger of ``key`` holds this very record and signature.

    Who gives a key wants a proof: without one the step fails. All of ``witnesses`` must have
    cosigned.
    """
    if not folder.has(PROOF):
        missing = "the folder holds no ledger proof"
        if key is None:
            return VerificationStep(NAME, StepResult.NOT_PRESENT, missing)
        return VerificationStep(NAME, StepResult.FAILED, f"{missing}, and a ledger key was given")
    if key is None:
        return VerificationStep(NAME, StepResult.NOT_CHECKED, "no ledger key given (--ledger-key)")
    try:
        raw = folder.read(PROOF)
        found = open_receipt(raw, key)
        if not is_event_of_record(found.opening.event, record, folder.read(BUNDLE)):
            return VerificationStep(
                NAME, StepResult.FAILED, f"{PROOF} is of another record or signature"
            )
        if folder.has(LEDGER) and folder.read(LEDGER) != f"{key}\n".encode():
            return VerificationStep(
                NAME, StepResult.FAILED, f"{LEDGER} is not the ledger key given"
            )
        seen = find_cosigners(SignedNote.parse(LedgerReceipt.parse(raw).note), witnesses)
    except AuditorError as error:
        return VerificationStep(NAME, StepResult.FAILED, f"{PROOF}: {error.problem}")
    silent = [item.name for item in witnesses if item not in seen]
    mistakes = [f"{name} did not cosign the checkpoint" for name in silent]
    return VerificationStep.of(NAME, mistakes, _words(found, tuple(item.name for item in seen)))


def check_erasure(
    folder: RecordFolder, record: AuditRecord, key: NoteKey | None
) -> VerificationStep:
    """Look at the proof that what could open this record's evidence was destroyed."""
    name = "erasure"
    try:
        raw = folder.read(ERASURE)
        opening = LeafOpening.parse(LedgerReceipt.parse(raw).extra)
        if not is_erasure_event(opening.event, record):
            return VerificationStep(name, StepResult.FAILED, f"{ERASURE} is of another record")
        if key is None:
            detail = f"{opening.event.time}, as the folder says; no ledger key given (--ledger-key)"
            return VerificationStep(name, StepResult.NOT_CHECKED, detail)
        found = open_receipt(raw, key)
    except AuditorError as error:
        return VerificationStep(name, StepResult.FAILED, f"{ERASURE}: {error.problem}")
    detail = f"{opening.event.time}: leaf {found.index} of {found.head.size} of {found.origin}"
    return VerificationStep(name, StepResult.HOLDS, detail)


def _words(found: EventInclusion, seen: tuple[str, ...]) -> str:
    cosigned = f", cosigned by {', '.join(seen)}" if seen else ""
    return (
        f"the record is leaf {found.index} of {found.head.size} in the ledger {found.origin}"
        + cosigned
    )
