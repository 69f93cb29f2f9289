"""Whether what a service sent is a record that it signed, and of what was asked."""

from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.reports.folder import RECORD, RecordFolder
from auditor.service.client.responses import AuditStatus
from auditor.service.client.submission import SubmissionRequest
from auditor.workflows.verify.folder import RecordVerifier, verify_folder

CURE = "Do not rely on it, and tell who runs the service."
BROKEN = frozenset({StepResult.FAILED, StepResult.WITHHELD})


def verify_fetched_record(
    folder: RecordFolder, verifier: RecordVerifier, standing: AuditStatus
) -> AuditRecord:
    """Return the record of a folder, once every step of its verification holds.

    Raises ``RecordError`` for one that does not verify, or is not the one that the audit came to.
    """
    for step in verify_folder(folder, verifier):
        if step.result in BROKEN:
            raise RecordError(
                f"the record of {standing.id} does not verify: {step.name}: {step.detail}",
                cure=CURE,
            )
    raw = folder.read(RECORD)
    if compute_digest(raw) != standing.record:
        raise RecordError(f"the record is not the one that {standing.id} came to", cure=CURE)
    return read_record(raw)


def require_ordered_record(record: AuditRecord, order: SubmissionRequest) -> None:
    """Raise ``RecordError`` for a record of something else than an order asks for."""
    found = record.request
    sealed = found.attempt is not None and found.attempt.sealed
    sets = () if found.attempt is None else found.attempt.sets
    bound = {(path, item.digest) for path, item in order.bound.items()}
    held = {(it.path, f"sha256:{it.file.sha256}") for it in found.inputs if it.path in order.bound}
    own = tuple(item for item in found.inputs if item.path not in order.bound)
    asked = {
        "the audit file": (found.audit_file, order.audit_file),
        "the policy": (found.policy.digest, order.policy),
        "the inputs": (own, order.inputs),
        "the sealed sets": ((sets, held), (tuple(it.name for it in order.bound.values()), bound)),
        "the targets": (tuple(spec.name for spec in found.targets), order.targets),
        "the budget": (found.budget, order.budget),
        "the checks": (found.only, order.only),
        "who draws the seed": (sealed, order.sealed),
        "the baseline": (found.baseline, order.baseline),
    }
    for what, (theirs, mine) in asked.items():
        if theirs != mine:
            raise RecordError(f"the record is of something else: {what} differ", cure=CURE)
