"""Whether a record is in a ledger, as the proof in its folder says."""

from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.errors import AuditorError
from auditor.folders import BUNDLE, ERASURE, LEDGER, PROOF, RecordFolder
from auditor.ledgers.cosigning import cosigners
from auditor.ledgers.notes import Note, NoteKey
from auditor.ledgers.occasions import notes_erasure, tells_of
from auditor.ledgers.openings import Included, Opening, open_receipt
from auditor.ledgers.receipts import Receipt

NAME = "inclusion proof"


def inclusion(
    folder: RecordFolder,
    record: AuditRecord,
    key: NoteKey | None,
    witnesses: tuple[NoteKey, ...] = (),
) -> Step:
    """Look at the proof that the ledger of ``key`` holds this very record and signature.

    Who gives a key wants a proof: without one the step fails. All of ``witnesses`` must have
    cosigned.
    """
    if not folder.has(PROOF):
        missing = "the folder holds no ledger proof"
        if key is None:
            return Step(NAME, StepResult.NOT_PRESENT, missing)
        return Step(NAME, StepResult.FAILED, f"{missing}, and a ledger key was given")
    if key is None:
        return Step(NAME, StepResult.NOT_CHECKED, "no ledger key given (--ledger-key)")
    try:
        raw = folder.read(PROOF)
        found = open_receipt(raw, key)
        if not tells_of(found.opening.event, record, folder.read(BUNDLE)):
            return Step(NAME, StepResult.FAILED, f"{PROOF} is of another record or signature")
        if folder.has(LEDGER) and folder.read(LEDGER) != f"{key}\n".encode():
            return Step(NAME, StepResult.FAILED, f"{LEDGER} is not the ledger key given")
        seen = cosigners(Note.parse(Receipt.parse(raw).note), witnesses)
    except AuditorError as error:
        return Step(NAME, StepResult.FAILED, f"{PROOF}: {error.problem}")
    silent = [item.name for item in witnesses if item not in seen]
    mistakes = [f"{name} did not cosign the checkpoint" for name in silent]
    return Step.of(NAME, mistakes, _words(found, tuple(item.name for item in seen)))


def erasure(folder: RecordFolder, record: AuditRecord, key: NoteKey | None) -> Step:
    """Look at the proof that what could open this record's evidence was destroyed."""
    name = "erasure"
    try:
        raw = folder.read(ERASURE)
        opening = Opening.parse(Receipt.parse(raw).extra)
        if not notes_erasure(opening.event, record):
            return Step(name, StepResult.FAILED, f"{ERASURE} is of another record")
        if key is None:
            detail = f"{opening.event.time}, as the folder says; no ledger key given (--ledger-key)"
            return Step(name, StepResult.NOT_CHECKED, detail)
        found = open_receipt(raw, key)
    except AuditorError as error:
        return Step(name, StepResult.FAILED, f"{ERASURE}: {error.problem}")
    detail = f"{opening.event.time}: leaf {found.index} of {found.head.size} of {found.origin}"
    return Step(name, StepResult.HOLDS, detail)


def _words(found: Included, seen: tuple[str, ...]) -> str:
    cosigned = f", cosigned by {', '.join(seen)}" if seen else ""
    return (
        f"the record is leaf {found.index} of {found.head.size} in the ledger {found.origin}"
        + cosigned
    )
