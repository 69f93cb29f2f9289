"""Take in what people signed: nothing is kept that no person of the project may have signed."""

from collections.abc import Callable
from dataclasses import dataclass

from auditor.domain.approvals import Answer, Approval
from auditor.domain.canonical import digest
from auditor.domain.human_findings import HumanFinding
from auditor.domain.people import Decision, DecisionKind, Person, Rejudgement
from auditor.domain.waivers import Life, moment, same_person
from auditor.errors import WaiverError
from auditor.noting import note_approval, note_finding, note_waiver
from auditor.people.naming import barred, company
from auditor.people.panels import Panel, read_kept
from auditor.people.rejudging import file_name, waived_now
from auditor.refusals import StandingError
from auditor.signatures.decisions import verify_approval, verify_finding, verify_waiver
from auditor.signatures.keys import read_public_key
from auditor.signatures.unsigned import in_der
from auditor.store.service.people import keep_decision
from auditor.store.units import UnitOfWork

PEOPLE = "An admin of the project adds people and their keys: POST /v1/people."


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A signed bundle that was handed in, by whom (a key's id), and the signer's public key."""

    project: str
    by: str
    bundle: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class About:
    """A decision's kind and bundle, and what it is about, by digest."""

    kind: DecisionKind
    bundle: bytes
    artifact: str | None = None
    record: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A decision that is kept, whether it is new, and the records that were judged again."""

    decision: Decision
    new: bool
    rejudged: tuple[Rejudgement, ...] = ()


def take_waiver(panel: Panel, offer: Offer) -> Taken:
    """Keep a waiver, and judge again what it is for; one that is sent again does the latter.

    Raises ``WaiverError`` for one that does not hold, has run out or does not count yet, or is of
    nobody who may waive here, and ``KeyFileError`` for a key that may sign no decisions.
    """
    bundle, pem = in_der(offer.bundle, offer.key), read_public_key(offer.key).pem
    signed = verify_waiver(bundle, pem, file_name(digest(bundle)))
    person = _signer(panel, offer, pem.decode(), DecisionKind.WAIVER, signed.waiver.approver)
    life = signed.waiver.life(panel.clock())
    if life is not Life.VALID:
        said = "has run out" if life is Life.EXPIRED else "does not count yet"
        raise WaiverError(f"{signed.waiver} {said}", cure="Sign one that counts now.")
    about = About(DecisionKind.WAIVER, bundle, artifact=signed.waiver.artifact)
    decision = _decision(offer, person, panel.clock(), about)
    taken = _kept(panel, decision, lambda work, at: note_waiver(work, signed, at))
    return Taken(taken.decision, taken.new, waived_now(panel, offer.project, signed))


def take_approval(panel: Panel, offer: Offer) -> Taken:
    """Keep a yes or no to a record of the project.

    Raises ``NotFoundError`` for another record, ``WaiverError`` for one that does not hold or is
    not in force, and ``StandingError`` for a yes that cannot count.
    """
    bundle, pem = in_der(offer.bundle, offer.key), read_public_key(offer.key).pem
    said = verify_approval(bundle, pem, "the approval")
    person = _signer(panel, offer, pem.decode(), DecisionKind.APPROVAL, said.by)
    lapse = said.lapse(panel.clock())
    if lapse:
        raise WaiverError(f"the approval is not in force: {lapse}", cure="Sign another now.")
    _refuse_idle(panel, offer.project, said, person)
    about = About(DecisionKind.APPROVAL, bundle, record=said.record)
    decision = _decision(offer, person, panel.clock(), about)
    return _kept(panel, decision, lambda work, at: note_approval(work, said, bundle, pem, at))


def take_finding(panel: Panel, offer: Offer) -> Taken:
    """Keep what a person found wrong with a record of the project: it fails it for good.

    Raises as ``take_approval`` does.
    """
    bundle, pem = in_der(offer.bundle, offer.key), read_public_key(offer.key).pem
    said = verify_finding(bundle, pem, "the finding")
    person = _signer(panel, offer, pem.decode(), DecisionKind.FINDING, said.by)
    now, signed_at = moment(panel.clock()), moment(said.created)
    if now is None or signed_at is None or signed_at > now:
        raise WaiverError("the finding is of a time to come", cure="Sign it now.")
    _record_of(panel, offer.project, said)
    about = About(DecisionKind.FINDING, bundle, record=said.record)
    decision = _decision(offer, person, panel.clock(), about)
    return _kept(panel, decision, lambda work, at: note_finding(work, said, bundle, pem, at))


def _signer(panel: Panel, offer: Offer, pem: str, kind: DecisionKind, name: str) -> Person:
    """Return the person of the project who signed, under the very name that is signed."""
    identity = read_public_key(pem.encode()).identity
    person = panel.people.holder(offer.project, pem)
    if person is None:
        raise WaiverError(f"{identity} is the key of nobody in this project", cure=PEOPLE)
    if person.ended is not None:
        raise WaiverError(f"{person.name} decides no more since {person.ended}", cure=PEOPLE)
    if kind not in person.may:
        raise WaiverError(f"{person.name} may sign no {kind} here", cure=PEOPLE)
    if not same_person(person.name, name):
        raise WaiverError(
            f"{identity} is the key of {person.name}, and the {kind} is signed as {name[:80]!r}",
            cure=f"Let it name {person.name}.",
        )
    return person


def _record_of(panel: Panel, project: str, said: Approval | HumanFinding) -> str:
    """Return the submission of the record that is spoken of."""
    kept = panel.record(project, said.record)
    if read_kept(kept).id != said.record_id:
        raise WaiverError(
            f"{said.record} is not the record {said.record_id[:80]!r}", cure="Name its own id."
        )
    return kept.submission


def _refuse_idle(panel: Panel, project: str, said: Approval, person: Person) -> None:
    """Refuse a yes that no gate would count; a no is always taken."""
    submission = panel.kept.submission(project, _record_of(panel, project, said))
    if said.answer is Answer.NO or submission is None:
        return
    policy = panel.policy_of(read_kept(panel.record(project, said.record)))
    people = company(panel, project)
    why = barred(panel, people, submission, said.record, policy)
    if person.key in why:
        raise StandingError(
            f"the yes of {person.name} would not count: {why[person.key]}",
            cure="Label the cases of GET /v1/approvals/cases first, or let somebody else say yes.",
        )


def _decision(offer: Offer, person: Person, at: str, about: About) -> Decision:
    return Decision(
        project=offer.project,
        digest=digest(about.bundle),
        kind=about.kind,
        person=person.id,
        bundle=about.bundle,
        key=person.key,
        at=at,
        by=offer.by,
        artifact=about.artifact,
        record=about.record,
    )


def _kept(panel: Panel, decision: Decision, note: Callable[[UnitOfWork, str], None]) -> Taken:
    """Put a decision into the ledger and keep it, both or neither; once, however often it comes."""
    there = panel.people.decision(decision.project, decision.kind, decision.digest)
    if there is not None:
        return Taken(there, new=False)
    for blob in (decision.bundle, decision.key.encode()):
        panel.kept.store.blobs.put(blob)
    with panel.kept.store.unit_of_work() as work:
        note(work, decision.at)
        new = keep_decision(work.session, decision)
    return Taken(decision, new)
