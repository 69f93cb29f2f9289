"""Approvals of a record, and whether they and the waivers open a gate."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.findings import Outcome
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.domain.waivers import SignedWaiver, WaiverValidity, is_same_person
from auditor.errors import AuditorError
from auditor.policy.evaluate.engine import WaiverStatus, WaiverUse
from auditor.reports.folder import PUBLIC, SIGNED, SIGNER, RecordFolder, approval_name
from auditor.store.blob_urls import StoreLocation
from auditor.store.record_store import RecordStore
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.ledger.events import open_decision_document
from auditor.trust.policies.auditors import find_auditor
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.trust_policy import AuditorRole, TrustPolicy
from auditor.trust.signatures.keys import read_public_key
from auditor.workflows.human_decisions import (
    SignedApproval,
    evaluate_record_waivers,
    read_signed_approval,
)
from auditor.workflows.ledger import open_existing_store

WAIVERS, APPROVALS = "waivers", "approvals"


@dataclass(frozen=True, slots=True)
class AuthorizedSigners:
    """Whose decisions count: public keys as PEM, or those whom a trust policy gives a role.

    ``ended`` says of keys (PEM) why they decide no more, ``barred`` why not of this record.
    """

    keys: tuple[bytes, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)
    trust: TrustPolicy | None = None
    when: QueryTime | None = None
    standing: TrustPolicyStatus = TrustPolicyStatus.UNKNOWN
    barred: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> bool:
        """Whether anybody is named at all."""
        return bool(self.keys) or self.trust is not None

    def objection(self, bundle: bytes, key: bytes, role: AuditorRole) -> str:
        """Say why a key may not decide in a role; nothing where it may."""
        if key.decode() in self.ended:
            return f"signed by {read_public_key(key).identity}, {self.ended[key.decode()]}"
        if key.strip() in {item.strip() for item in self.keys}:
            return self.barred.get(key.decode(), "")
        if self.trust is None or self.when is None:
            return f"signed by {read_public_key(key).identity}, not trusted for decisions here"
        found = find_auditor(self.trust, bundle, self.when, standing=self.standing, role=role)
        return "" if found.auditor is not None else "; ".join(found.mistakes)


@dataclass(frozen=True, slots=True)
class ApprovalRequirement:
    """What a gate asks for: how many approvals, by whom, at what time.

    ``labelled`` is how many cases the policy asks each of them to label first, where the gate has
    no way to see whether they did: then no yes counts.
    """

    least: int
    deciders: AuthorizedSigners
    now: str
    labelled: int = 0


@dataclass(frozen=True, slots=True)
class RecordApprovals:
    """The approvals of a record in its folder and in the store, and what could not be read.

    ``before`` is what stands against a record whose evidence was judged again into this one.
    """

    said: tuple[SignedApproval, ...]
    unreadable: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def collect_approvals(
    record: AuditRecord, folder: RecordFolder, place: StoreLocation | RecordStore
) -> RecordApprovals:
    """Return every approval of a record that is known here, each once, the oldest first.

    So one that was taken out of a folder still counts where it was put down. Raises
    ``StoreError`` for a store that cannot be read.
    """
    found: dict[str, SignedApproval] = {}
    unreadable, places = [], dict[str, int]()
    bundles = {
        name: (folder.read(name), folder.read(f"{name.removesuffix(SIGNED)}{PUBLIC}"))
        for name in folder.approvals()
        if name.endswith(SIGNED)
    }
    with ExitStack() as stack:
        store = stack.enter_context(open_existing_store(place))
        if store is not None:
            work = stack.enter_context(store.looking())
            kept = enumerate(_kept(record, work), start=1)
            bundles |= {f"the ledger here ({at})": both for at, both in kept}
    for at, (where, (bundle, key)) in enumerate(bundles.items()):
        places[compute_digest(bundle)] = at
        try:
            said = read_signed_approval(bundle, key, where)
        except AuditorError as error:
            unreadable.append(error.problem)
            continue
        if said.approval.record == record.digest:
            found.setdefault(compute_digest(bundle), said)
        else:
            unreadable.append(f"{where} is of another record, {said.approval.record_id}")
    # Of two in one second the no is the last, else the one that the ledger here has later.
    ordered = sorted(found, key=lambda name: (*_when(found[name]), places[name]))
    return RecordApprovals(tuple(found[name] for name in ordered), tuple(unreadable))


def _when(said: SignedApproval) -> tuple[str, bool]:
    return said.approval.created, said.approval.answer is ApprovalAnswer.NO


def build_approval_files(record: AuditRecord, store: RecordStore) -> Mapping[str, bytes]:
    """Return the approvals of a record in a store, with their keys, as they lie in a folder."""
    with store.looking() as work:
        kept = _kept(record, work)
    return {
        approval_name(compute_digest(bundle), suffix): raw
        for bundle, key in kept
        for suffix, raw in ((SIGNED, bundle), (PUBLIC, key))
    }


def _kept(record: AuditRecord, work: UnitOfWork) -> list[tuple[bytes, bytes]]:
    return [open_decision_document(raw) for raw in work.approvals(record.digest)]


def check_approvals(
    record: AuditRecord, folder: RecordFolder, known: RecordApprovals, wanted: ApprovalRequirement
) -> VerificationStep:
    """Ask whether so many people approved exactly this record, and nobody rejected it.

    Of what one key said only the last counts, but a no of anybody shuts the gate, whoever it is:
    it was put there for a reason, and only a yes that is in force takes it back. A yes counts
    from somebody who may approve, is not the record's signer, and answers for no waiver that was
    used.
    """
    # What each key said last; what is not in force leaves the no before it
    last: dict[str, SignedApproval] = {}
    for item in known.said:
        before = last.get(item.identity)
        refused = before is not None and before.approval.answer is ApprovalAnswer.NO
        ended = item.approval.lapse(wanted.now) or item.key.decode() in wanted.deciders.ended
        if not (refused and ended):
            last[item.identity] = item
    refusals = [item for item in last.values() if item.approval.answer is ApprovalAnswer.NO]
    mistakes = [*known.unreadable, *(f"{item.approval} ({item.where})" for item in refusals)]
    mistakes += [f"before it was judged again: {words}" for words in known.before]
    found = []
    for signed, used in evaluate_record_waivers(folder, record):
        if used.use is WaiverStatus.USED:
            found.append(signed.waiver.owner)
    owners = tuple(found)
    doubts = {
        key: _objection(item, folder.read(SIGNER), owners, wanted)
        for key, item in last.items()
        if item not in refusals
    }
    names = _distinct(last[key].approval.by for key, doubt in doubts.items() if not doubt)
    if len(names) < wanted.least:
        mistakes.append(f"{len(names)} of {wanted.least} approvals of this record are there")
        mistakes += [f"{last[key].approval.by}: {doubt}" for key, doubt in doubts.items() if doubt]
    if not known.said and not mistakes:
        return VerificationStep(
            APPROVALS, StepResult.NOT_PRESENT, "none is known here, and none is asked for"
        )
    if not wanted.least:
        names = _distinct(item.approval.by for item in last.values())
        return VerificationStep.of(
            APPROVALS, mistakes, f"{', '.join(names)} said yes, and nobody is asked to"
        )
    return VerificationStep.of(APPROVALS, mistakes, f"{', '.join(names)} approved this record")


def _objection(
    said: SignedApproval, signer: bytes, owners: Sequence[str], wanted: ApprovalRequirement
) -> str:
    """Say why a yes does not count; nothing where it does."""
    lapse = said.approval.lapse(wanted.now)
    if lapse:
        return lapse
    if said.key.strip() == signer.strip():
        return "signed by the record's own signer"
    if any(is_same_person(said.approval.by, owner) for owner in owners):
        return "who answers for a waiver's risk may not approve it too"
    if wanted.labelled:
        return (
            f"a folder does not show that {said.approval.by} labelled the {wanted.labelled} cases "
            "that the policy asks for; ask the service (--server)"
        )
    return wanted.deciders.objection(said.bundle, said.key, AuditorRole.APPROVAL)


def _distinct(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if not any(is_same_person(name, other) for other in found):
            found.append(name)
    return found


def check_waiver_keys(
    record: AuditRecord, folder: RecordFolder, deciders: AuthorizedSigners
) -> Iterator[VerificationStep]:
    """Hold the key of each waiver of a record against those who may waive; nothing without any."""
    signed = [item for item, _ in evaluate_record_waivers(folder, record)]
    if signed:
        told = [(it, deciders.objection(it.bundle, it.key, AuditorRole.WAIVER)) for it in signed]
        mistakes = [f"{item.waiver}: {objection}" for item, objection in told if objection]
        yield VerificationStep.of(WAIVERS, mistakes, f"{len(signed)} are of people who may waive")


def check_waivers_in_force(
    record: AuditRecord, folder: RecordFolder, deciders: AuthorizedSigners, now: str
) -> VerificationStep:
    """Ask whether every waiver that a record's verdict rests on still counts, and who gave it.

    Somebody has to be named whose waivers count: that the record's signer took them is no leave.
    """
    used = [
        (signed, it)
        for signed, it in evaluate_record_waivers(folder, record)
        if it.use is WaiverStatus.USED
    ]
    mistakes = [mistake for signed, it in used for mistake in _lapsed(signed, it, deciders, now)]
    named = {signed.ref.waiver for signed, _ in used}
    mistakes += [
        f"{item.name} on {item.target} is waived by nothing that the record has"
        for item in record.findings
        if item.outcome is Outcome.WAIVED and item.waiver not in named
    ]
    if used and not deciders.named:
        rules = ", ".join(dict.fromkeys(signed.waiver.name for signed, _ in used))
        mistakes.append(f"{rules} waived: say whose waivers count with --waiver-key or --trust")
    if not used:
        counted = "nothing is waived"
    else:
        counted = "; ".join(
            f"{signed.waiver.name} until {signed.waiver.expires} ({signed.waiver.ticket})"
            for signed, _ in used
        )
    return VerificationStep.of(WAIVERS, mistakes, counted)


def _lapsed(
    signed: SignedWaiver, used: WaiverUse, deciders: AuthorizedSigners, now: str
) -> Iterator[str]:
    waiver = signed.waiver
    if waiver.life(now) is WaiverValidity.EXPIRED:
        yield f"{waiver} expired on {waiver.expires}, and {waiver.name} is waived {used.detail}"
    if deciders.named:
        objection = deciders.objection(signed.bundle, signed.key, AuditorRole.WAIVER)
        if objection:
            yield f"{waiver} does not count: {objection}"
