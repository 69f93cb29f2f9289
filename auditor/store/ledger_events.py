"""Put down what an audit is judged by: what people signed with their keys, and its policy."""

from collections.abc import Sequence

from auditor.domain.approvals import Approval
from auditor.domain.canonical import canonical
from auditor.domain.human_findings import HumanFinding
from auditor.domain.policies import Policy
from auditor.domain.requests import PolicyRef
from auditor.domain.waivers import SignedWaiver
from auditor.errors import WaiverError
from auditor.holding import take_into_use
from auditor.ledgers.events import Event
from auditor.ledgers.key_events import KeyRole
from auditor.ledgers.occasions import (
    approval_kept,
    finding_kept,
    policy_used,
    waiver_kept,
)
from auditor.store.bindings import NO_PROJECT
from auditor.store.store import Store
from auditor.store.units import UnitOfWork
from auditor.trusting.versions import order_of


def note_waivers(store: Store, waivers: Sequence[SignedWaiver], signer: bytes, at: str) -> None:
    """Put signed waivers into the ledger, once each, and their keys into use for decisions.

    Raises ``WaiverError`` where the key that signs the record signed one, and ``KeyFileError``
    where a key has come to its end or has another role.
    """
    for item in waivers:
        if item.key.strip() == signer.strip():
            raise WaiverError(
                f"{item.ref.file} is signed by the key that signs the record, and who audits may "
                "not waive",
                cure="Let the approver sign it: `auditor keys new --role decision`.",
            )
        store.blobs.put(item.bundle)
        store.blobs.put(item.key)
    with store.unit_of_work() as work:
        for item in waivers:
            note_waiver(work, item, at)


def note_waiver(work: UnitOfWork, signed: SignedWaiver, at: str) -> None:
    """Put one signed waiver into the ledger, where it is not there yet."""
    take_into_use(work, KeyRole.DECISION, signed.key.decode(), at)
    _append(work, *waiver_kept(signed, at))


def note_approval(work: UnitOfWork, approval: Approval, bundle: bytes, key: bytes, at: str) -> None:
    """Put one signed approval into the ledger, and its key into use for decisions.

    Raises ``KeyFileError`` where the key has come to its end or has another role.
    """
    take_into_use(work, KeyRole.DECISION, key.decode(), at)
    _append(work, *approval_kept(approval, bundle, key, at))


def note_finding(
    work: UnitOfWork, finding: HumanFinding, bundle: bytes, key: bytes, at: str
) -> None:
    """Put one signed human finding into the ledger, and its key into use for decisions.

    Raises ``KeyFileError`` where the key has come to its end or has another role.
    """
    take_into_use(work, KeyRole.DECISION, key.decode(), at)
    _append(work, *finding_kept(finding, bundle, key, at))


def note_policy(store: Store, policy: Policy, at: str, project: str = NO_PROJECT) -> str:
    """Put a policy down where the ledger does not have it, and say what is odd about that.

    Odd is the same name and version with other words, and a version below one that the project used
    before: either is what somebody would do who wants a verdict.
    """
    document = canonical(policy.document)
    with store.unit_of_work(project) as work:
        before = work.policies_used(policy.name)
        _append(work, policy_used(policy, at), document)
    return _oddity(policy, before)


def _append(work: UnitOfWork, event: Event, document: bytes) -> None:
    if event.id is not None and not work.happened_before(event.id):
        work.append(event, document)


def _oddity(policy: Policy, before: Sequence[tuple[PolicyRef, str]]) -> str:
    others = [(it, at) for it, at in before if it.digest != policy.digest]
    same = [(it, at) for it, at in others if it.version == policy.version]
    if same:
        known, at = same[-1]
        return (
            f"{policy.name} {policy.version} had other words before ({known.digest}, registered "
            f"at {at}): a changed policy needs a new version"
        )
    newer = [(it, at) for it, at in others if _is_above(it.version, policy.version)]
    if newer:
        known, at = newer[-1]
        return (
            f"{policy.name} {policy.version} is older than {known.version}, which was used "
            f"before (registered at {at})"
        )
    return ""


def _is_above(version: str, other: str) -> bool:
    mine, theirs = order_of(version), order_of(other)
    return mine is not None and theirs is not None and mine > theirs
