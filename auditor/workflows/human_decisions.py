"""Human decisions about a record: the waivers that it names, and the approvals beside it."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.approvals import Approval
from auditor.domain.baselines import MeasurementConditions, load_compared_record
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.domain.waivers import SignedWaiver, WaiverValidity
from auditor.errors import AuditorError, RecordError
from auditor.policy.evaluate.context import JudgingContext, build_judging_context
from auditor.policy.evaluate.engine import WaiverStatus, WaiverUse, evaluate_waivers
from auditor.reports.folder import PUBLIC, SIGNED, SIGNER, RecordFolder, approval_name
from auditor.trust.signatures.decisions import verify_approval, verify_waiver
from auditor.trust.signatures.keys import read_public_key

CURE = "Take the folder as auditor wrote it, unchanged."


@dataclass(frozen=True, slots=True)
class SignedApproval:
    """An approval whose signature holds under the key that lies beside it, and where it lies."""

    approval: Approval
    bundle: bytes
    key: bytes
    where: str

    @property
    def identity(self) -> str:
        """The name of the key that signed it."""
        return read_public_key(self.key).identity


def read_record_waivers(folder: RecordFolder, record: AuditRecord) -> tuple[SignedWaiver, ...]:
    """Return the waivers of a record, each signed by the key that the record names for it.

    Raises ``RecordError`` for a waiver that is missing, changed, or not the one that was named.
    """
    made = []
    for ref in record.request.waivers:
        try:
            found = verify_waiver(folder.evidence(ref.digest), folder.evidence(ref.key), ref.file)
        except AuditorError as error:
            raise RecordError(f"a waiver of the record: {error.problem}", cure=CURE) from None
        if found.ref != ref:
            raise RecordError(f"{ref.file} is not the waiver that the record names", cure=CURE)
        made.append(found)
    return tuple(made)


def build_record_context(
    folder: RecordFolder, record: AuditRecord, confidence: float
) -> JudgingContext:
    """Return what judging knows of a record: what it says, its waivers, and its baseline.

    Raises ``RecordError`` for a waiver or a baseline that is missing or changed.
    """
    leave = tuple(item.waiver for item in read_record_waivers(folder, record))
    known = build_judging_context(
        record.request, record.assurance, confidence, leave, record.finished
    )
    under = MeasurementConditions.of(record.request, record.observations, record.fingerprints)
    return known.against(load_compared_record(record.request, folder.evidence), under)


def evaluate_record_waivers(
    folder: RecordFolder, record: AuditRecord
) -> tuple[tuple[SignedWaiver, WaiverUse], ...]:
    """Return every waiver of a record with what came of it. Raises ``RecordError``."""
    signed = read_record_waivers(folder, record)
    return tuple(
        zip(signed, evaluate_waivers(record, [item.waiver for item in signed]), strict=True)
    )


def read_signed_approval(bundle: bytes, key: bytes, where: str) -> SignedApproval:
    """Return an approval that a key signed, with the key as every key is written.

    So no blank or word beside it makes one key look like another. Raises ``WaiverError``.
    """
    approval = verify_approval(bundle, key, where)
    return SignedApproval(approval, bundle, read_public_key(key).pem, where)


def check_decisions(
    folder: RecordFolder, record: AuditRecord, now: str | None
) -> Iterator[VerificationStep]:
    """Look at each waiver and each approval: its signature, what it is of, and its end.

    A waiver that has run out since is told, and is no mistake: a record is a fact. Whether the
    keys are those of people who may decide, is asked by a gate.
    """
    try:
        for signed, used in evaluate_record_waivers(folder, record):
            waiver = signed.waiver
            over = now is not None and waiver.life(now) is WaiverValidity.EXPIRED
            ends = f"expired on {waiver.expires}" if over else f"until {waiver.expires}"
            use = used.use.value if used.use is WaiverStatus.USED else f"unused: {used.detail}"
            key = read_public_key(signed.key).identity
            where = f" {used.detail}" if used.use is WaiverStatus.USED else ""
            detail = (
                f"{waiver.name}: {use}{where}; {ends}; approved by {waiver.approver}, "
                f"{waiver.owner} answers; {signed.ref.digest}, signed by {key}"
            )
            own = signed.key.strip() == folder.read(SIGNER).strip()
            mistakes = [f"{signed.ref.file} is signed by the record's own signer"] if own else []
            yield VerificationStep.of(f"waiver {waiver.ticket}", mistakes, detail)
    except AuditorError as error:
        yield VerificationStep("waiver", StepResult.FAILED, error.problem)
    for name in folder.approvals():
        if name.endswith(SIGNED):
            yield _approval_step(folder, record, name, now)
        elif not folder.has(f"{name.removesuffix(PUBLIC)}{SIGNED}"):
            yield VerificationStep("approval", StepResult.FAILED, f"{name} is the key of nothing")


def _approval_step(
    folder: RecordFolder, record: AuditRecord, name: str, now: str | None
) -> VerificationStep:
    try:
        said = read_signed_approval(
            folder.read(name), folder.read(f"{name.removesuffix(SIGNED)}{PUBLIC}"), name
        )
    except AuditorError as error:
        return VerificationStep("approval", StepResult.FAILED, error.problem)
    mistakes = []
    if approval_name(compute_digest(said.bundle), SIGNED) != name:
        mistakes.append(f"{name} does not have the digest that is its name")
    if said.approval.record != record.digest:
        mistakes.append(f"{name} is of another record, {said.approval.record_id}")
    over = now is not None and said.approval.expired(now)
    ends = f"; expired on {said.approval.expires}" if over else ""
    return VerificationStep.of(
        "approval", mistakes, f"{said.approval}{ends}; signed by {said.identity}"
    )
