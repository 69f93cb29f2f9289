"""Verifies a fetched record: signed by the service, and of the audit that was requested."""

from collections.abc import Mapping

from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.reports.folder import RECORD, RecordFolder
from auditor.service.client.responses import AuditStatus, SealedSetSummary
from auditor.service.domain.submissions import AuditOrder
from auditor.workflows.verify.folder import RecordVerifier, verify_folder

CURE = "Do not use this record, and report it to the operator of the service."
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
        raise RecordError(f"the record is not that of {standing.id}", cure=CURE)
    return read_record(raw)


def require_ordered_record(
    record: AuditRecord, order: AuditOrder, sealed_sets: Mapping[str, SealedSetSummary]
) -> None:
    """Raise ``RecordError`` for a record of something else than an order asks for.

    ``sealed_sets`` are those of the order, by the paths of the data whose place they take.
    """
    found = record.request
    sealed = found.attempt is not None and found.attempt.sealed
    sets = () if found.attempt is None else found.attempt.sets
    bound = {(path, item.digest) for path, item in sealed_sets.items()}
    held = {(it.path, it.file.digest) for it in found.inputs if it.path in sealed_sets}
    own = tuple(item for item in found.inputs if item.path not in sealed_sets)
    asked = {
        "the audit file": (found.audit_file, order.audit_file),
        "the policy": (found.policy.digest, order.policy),
        "the inputs": (own, order.inputs),
        "the sealed sets": ((sets, held), (order.sealed_sets, bound)),
        "the targets": (tuple(spec.name for spec in found.targets), order.targets),
        "the budget": (found.budget, order.budget),
        "the checks": (found.only, order.only),
        "the origin of the seed": (sealed, order.sealed),
        "the baseline": (found.baseline, order.baseline),
    }
    for what, (theirs, mine) in asked.items():
        if theirs != mine:
            raise RecordError(f"the record belongs to another request: {what} differ", cure=CURE)
