"""Accepts signed decisions, if a person of the project may sign them."""

from collections.abc import Callable
from dataclasses import dataclass

from auditor.domain.approvals import Approval, ApprovalAnswer, HumanFinding
from auditor.domain.json import compute_digest
from auditor.domain.waivers import WaiverValidity, is_same_person, parse_waiver_time
from auditor.errors import StateConflictError, WaiverError
from auditor.service.approvals.people import (
    ApprovalContext,
    explain_barred_keys,
    load_project_people,
    read_stored_record,
)
from auditor.service.approvals.rejudge import build_waiver_file_name, rejudge_for_waiver
from auditor.service.domain.people import DecisionKind, Person, RejudgedRecord, SignedDecision
from auditor.service.store.people import keep_decision
from auditor.store.ledger_events import log_approval, log_human_finding, log_waiver
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.signatures.decisions import verify_approval, verify_finding, verify_waiver
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.verify import convert_signature_to_der

PEOPLE = "An admin of the project adds people and their keys: POST /v1/people."


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedDecision:
    """A signed bundle that was handed in, by whom (a key's id), and the signer's public key."""

    project: str
    by: str
    bundle: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class DecisionSubject:
    """A decision's kind and bundle, and what it is about, by digest."""

    kind: DecisionKind
    bundle: bytes
    artifact: str | None = None
    record: str | None = None


@dataclass(frozen=True, slots=True)
class AcceptedDecision:
    """A decision that is kept, whether it is new, and the records that were judged again."""

    decision: SignedDecision
    new: bool
    rejudged: tuple[RejudgedRecord, ...] = ()


def accept_waiver(panel: ApprovalContext, offer: SubmittedDecision) -> AcceptedDecision:
    """Keep a waiver, and judge again what it is for; one that is sent again does the latter.

    Raises ``WaiverError`` for one that does not hold, has expired or does not count yet, or is of
    nobody who may waive here, and ``KeyFileError`` for a key that may sign no decisions.
    """
    bundle, pem = convert_signature_to_der(offer.bundle, offer.key), read_public_key(offer.key).pem
    signed = verify_waiver(bundle, pem, build_waiver_file_name(compute_digest(bundle)))
    person = _signer(panel, offer, pem.decode(), DecisionKind.WAIVER, signed.waiver.approver)
    life = signed.waiver.life(panel.clock())
    if life is not WaiverValidity.VALID:
        said = "has expired" if life is WaiverValidity.EXPIRED else "does not count yet"
        raise WaiverError(f"{signed.waiver} {said}", cure="Sign a decision that is valid now.")
    about = DecisionSubject(DecisionKind.WAIVER, bundle, artifact=signed.waiver.artifact)
    decision = _decision(offer, person, panel.clock(), about)
    taken = _kept(panel, decision, lambda work, at: log_waiver(work, signed, at))
    return AcceptedDecision(
        taken.decision, taken.new, rejudge_for_waiver(panel, offer.project, signed)
    )


def accept_approval(panel: ApprovalContext, offer: SubmittedDecision) -> AcceptedDecision:
    """Keep a yes or no to a record of the project.

    Raises ``NotFoundError`` for another record, ``WaiverError`` for one that does not hold or is
    not in force, and ``StateConflictError`` for a yes that cannot count.
    """
    bundle, pem = convert_signature_to_der(offer.bundle, offer.key), read_public_key(offer.key).pem
    said = verify_approval(bundle, pem, "the approval")
    person = _signer(panel, offer, pem.decode(), DecisionKind.APPROVAL, said.by)
    lapse = said.lapse(panel.clock())
    if lapse:
        raise WaiverError(f"the approval is not in force: {lapse}", cure="Sign a new one now.")
    _refuse_idle(panel, offer.project, said, person)
    about = DecisionSubject(DecisionKind.APPROVAL, bundle, record=said.record)
    decision = _decision(offer, person, panel.clock(), about)
    return _kept(panel, decision, lambda work, at: log_approval(work, said, bundle, pem, at))


def accept_finding(panel: ApprovalContext, offer: SubmittedDecision) -> AcceptedDecision:
    """Keep what a person found wrong with a record of the project: it fails it for good.

    Raises as ``accept_approval`` does.
    """
    bundle, pem = convert_signature_to_der(offer.bundle, offer.key), read_public_key(offer.key).pem
    said = verify_finding(bundle, pem, "the finding")
    person = _signer(panel, offer, pem.decode(), DecisionKind.FINDING, said.by)
    now, signed_at = parse_waiver_time(panel.clock()), parse_waiver_time(said.created)
    if now is None or signed_at is None or signed_at > now:
        raise WaiverError("the finding is dated in the future", cure="Sign it now.")
    _record_of(panel, offer.project, said)
    about = DecisionSubject(DecisionKind.FINDING, bundle, record=said.record)
    decision = _decision(offer, person, panel.clock(), about)
    return _kept(panel, decision, lambda work, at: log_human_finding(work, said, bundle, pem, at))


def _signer(
    panel: ApprovalContext, offer: SubmittedDecision, pem: str, kind: DecisionKind, name: str
) -> Person:
    """Return the person of the project who signed, under the very name that is signed."""
    identity = read_public_key(pem.encode()).identity
    person = panel.people.holder(offer.project, pem)
    if person is None:
        raise WaiverError(f"{identity} is not the key of a person in this project", cure=PEOPLE)
    if person.ended is not None:
        raise WaiverError(
            f"the signing permission of {person.name} ended on {person.ended}", cure=PEOPLE
        )
    if kind not in person.may:
        raise WaiverError(f"{person.name} has no permission to sign: {kind}", cure=PEOPLE)
    if not is_same_person(person.name, name):
        raise WaiverError(
            f"{identity} is the key of {person.name}, and the {kind} is signed as {name[:80]!r}",
            cure=f"Write {person.name} as the signer.",
        )
    return person


def _record_of(panel: ApprovalContext, project: str, said: Approval | HumanFinding) -> str:
    """Return the submission of the record that is spoken of."""
    kept = panel.record(project, said.record)
    if read_stored_record(kept).id != said.record_id:
        raise WaiverError(
            f"{said.record} is not the digest of record {said.record_id[:80]!r}",
            cure="Use the ID of the record.",
        )
    return kept.submission


def _refuse_idle(panel: ApprovalContext, project: str, said: Approval, person: Person) -> None:
    """Refuse a yes that no gate would count; a no is always taken."""
    submission = panel.kept.submission(project, _record_of(panel, project, said))
    if said.answer is ApprovalAnswer.NO or submission is None:
        return
    policy = panel.policy_of(read_stored_record(panel.record(project, said.record)))
    people = load_project_people(panel, project)
    why = explain_barred_keys(panel, people, submission, said.record, policy)
    if person.key in why:
        raise StateConflictError(
            f"an approval by {person.name} would not count: {why[person.key]}",
            cure=(
                "Label the cases of GET /v1/approvals/cases first, or ask another "
                "person to approve."
            ),
        )


def _decision(
    offer: SubmittedDecision, person: Person, at: str, about: DecisionSubject
) -> SignedDecision:
    return SignedDecision(
        project=offer.project,
        digest=compute_digest(about.bundle),
        kind=about.kind,
        person=person.id,
        bundle=about.bundle,
        key=person.key,
        at=at,
        by=offer.by,
        artifact=about.artifact,
        record=about.record,
    )


def _kept(
    panel: ApprovalContext, decision: SignedDecision, note: Callable[[UnitOfWork, str], None]
) -> AcceptedDecision:
    """Put a decision into the ledger and keep it, both or neither; once, however often it comes."""
    there = panel.people.decision(decision.project, decision.kind, decision.digest)
    if there is not None:
        return AcceptedDecision(there, new=False)
    for blob in (decision.bundle, decision.key.encode()):
        panel.kept.store.blobs.put(blob)
    with panel.kept.store.unit_of_work() as work:
        note(work, decision.at)
        new = keep_decision(work.session, decision)
    return AcceptedDecision(decision, new)
