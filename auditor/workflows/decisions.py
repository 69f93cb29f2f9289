"""What people decided of a record: the waivers that it names, and approvals that lie beside it."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.approvals import Approval
from auditor.domain.baselines import Circumstances, compared_of
from auditor.domain.canonical import digest
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.waivers import Life, SignedWaiver, WaiverRef
from auditor.errors import AuditorError, RecordError
from auditor.folders import PUBLIC, SIGNED, SIGNER, RecordFolder, approval_name
from auditor.judging.context import JudgingContext, context_of
from auditor.judging.waiving import Use, Used, uses_of
from auditor.signatures.decisions import verify_approval, verify_waiver
from auditor.signatures.keys import read_public_key

CURE = "Take the folder as auditor wrote it, unchanged."


@dataclass(frozen=True, slots=True)
class Said:
    """An approval whose signature holds under the key that lies beside it, and where it lies."""

    approval: Approval
    bundle: bytes
    key: bytes
    where: str

    @property
    def identity(self) -> str:
        """The name of the key that signed it."""
        return read_public_key(self.key).identity


def waivers_of(folder: RecordFolder, record: AuditRecord) -> tuple[SignedWaiver, ...]:
    """Return the waivers of a record, each signed by the key that the record names for it.

    Raises ``RecordError`` for a waiver that is missing, changed, or not the one that was named.
    """
    return tuple(_waiver(folder, ref) for ref in record.request.waivers)


def known_of(folder: RecordFolder, record: AuditRecord, confidence: float) -> JudgingContext:
    """Return what judging knows of a record: what it says, its waivers, and its baseline.

    Raises ``RecordError`` for a waiver or a baseline that is missing or changed.
    """
    leave = tuple(item.waiver for item in waivers_of(folder, record))
    known = context_of(record.request, record.assurance, confidence, leave, record.finished)
    under = Circumstances.of(record.request, record.observations, record.fingerprints)
    return known.against(compared_of(record.request, folder.evidence), under)


def used_in(folder: RecordFolder, record: AuditRecord) -> tuple[tuple[SignedWaiver, Used], ...]:
    """Return every waiver of a record with what came of it. Raises ``RecordError``."""
    signed = waivers_of(folder, record)
    return tuple(zip(signed, uses_of(record, [item.waiver for item in signed]), strict=True))


def said_of(bundle: bytes, key: bytes, where: str) -> Said:
    """Return an approval that a key signed, with the key as every key is written.

    So no blank or word beside it makes one key look like another. Raises ``WaiverError``.
    """
    approval = verify_approval(bundle, key, where)
    return Said(approval, bundle, read_public_key(key).pem, where)


def decided(folder: RecordFolder, record: AuditRecord, now: str | None) -> Iterator[Step]:
    """Look at each waiver and each approval: its signature, what it is of, and its end.

    A waiver that has run out since is told, and is no mistake: a record is a fact. Whether the
    keys are those of people who may decide, is asked by a gate.
    """
    try:
        for signed, used in used_in(folder, record):
            yield _waiver_step(folder, signed, used, now)
    except AuditorError as error:
        yield Step("waiver", StepResult.FAILED, error.problem)
    for name in folder.approvals():
        if name.endswith(SIGNED):
            yield _approval_step(folder, record, name, now)
        elif not folder.has(f"{name.removesuffix(PUBLIC)}{SIGNED}"):
            yield Step("approval", StepResult.FAILED, f"{name} is the key of nothing")


def _waiver_step(folder: RecordFolder, signed: SignedWaiver, used: Used, now: str | None) -> Step:
    waiver = signed.waiver
    over = now is not None and waiver.life(now) is Life.EXPIRED
    ends = f"expired on {waiver.expires}" if over else f"until {waiver.expires}"
    use = used.use.value if used.use is Use.USED else f"unused: {used.detail}"
    key = read_public_key(signed.key).identity
    where = f" {used.detail}" if used.use is Use.USED else ""
    detail = (
        f"{waiver.name}: {use}{where}; {ends}; approved by {waiver.approver}, "
        f"{waiver.owner} answers; {signed.ref.digest}, signed by {key}"
    )
    own = signed.key.strip() == folder.read(SIGNER).strip()
    mistakes = [f"{signed.ref.file} is signed by the record's own signer"] if own else []
    return Step.of(f"waiver {waiver.ticket}", mistakes, detail)


def _approval_step(folder: RecordFolder, record: AuditRecord, name: str, now: str | None) -> Step:
    try:
        said = said_of(folder.read(name), _key_beside(folder, name), name)
    except AuditorError as error:
        return Step("approval", StepResult.FAILED, error.problem)
    mistakes = []
    if approval_name(digest(said.bundle), SIGNED) != name:
        mistakes.append(f"{name} does not have the digest that is its name")
    if said.approval.record != record.digest:
        mistakes.append(f"{name} is of another record, {said.approval.record_id}")
    over = now is not None and said.approval.expired(now)
    ends = f"; expired on {said.approval.expires}" if over else ""
    return Step.of("approval", mistakes, f"{said.approval}{ends}; signed by {said.identity}")


def _key_beside(folder: RecordFolder, name: str) -> bytes:
    return folder.read(f"{name.removesuffix(SIGNED)}{PUBLIC}")


def _waiver(folder: RecordFolder, ref: WaiverRef) -> SignedWaiver:
    try:
        found = verify_waiver(folder.evidence(ref.digest), folder.evidence(ref.key), ref.file)
    except AuditorError as error:
        raise RecordError(f"a waiver of the record: {error.problem}", cure=CURE) from None
    if found.ref != ref:
        raise RecordError(f"{ref.file} is not the waiver that the record names", cure=CURE)
    return found
