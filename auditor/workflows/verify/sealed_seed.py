"""Verifies that the seed of a sealed audit was drawn from the ledger."""

from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import LedgerError
from auditor.trust.ledger.notes import NoteKey
from auditor.trust.ledger.seed_draw import draw_seed

NAME, DRAWN_HERE = "sealed seed", "drawn here"
SEED_STEPS = frozenset({NAME, DRAWN_HERE})
"""The steps by which a seed is shown to be drawn: by a ledger's key, and by the service's own."""
SHOPPED = "SEED_NOT_DRAWN"
BROKEN = "SEED_PROOF"


def check_sealed_seed(record: AuditRecord, key: NoteKey | None) -> tuple[VerificationStep, ...]:
    """Recompute the seed of a sealed audit; any other audit has no such step.

    The first request is the record's, without seed and proof: so an attempt's number cannot be
    another than was registered either. Without the ledger's key nobody knows who signed what the
    seed follows from.
    """
    request, attempt = record.request, record.request.attempt
    if attempt is None or not (attempt.sealed or attempt.proof):
        return ()
    if attempt.proof is None:
        return (_failed(SHOPPED, "the audit is said to be sealed, and nothing shows it"),)
    try:
        drawn = draw_seed(attempt.proof.encode(), request.undrawn.digest, key)
    except LedgerError as error:
        return (_failed(BROKEN, error.problem),)
    if drawn.seed != request.seed:
        said = f"the seed is {request.seed}, and the ledger {drawn.origin} gives {drawn.seed}"
        return (_failed(SHOPPED, said),)
    detail = f"it follows from the first {drawn.size} leaves of the ledger {drawn.origin}"
    if key is None:
        detail += ", if that ledger signed them; no ledger key given (--ledger-key)"
        return (VerificationStep(NAME, StepResult.NOT_CHECKED, detail),)
    return (VerificationStep(NAME, StepResult.HOLDS, f"{detail}; attempt {attempt.number}"),)


def _failed(code: str, said: str) -> VerificationStep:
    return VerificationStep(NAME, StepResult.FAILED, f"{code}: {said}")
