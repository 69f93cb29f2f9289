"""Put down what an audit is judged by: what people signed with their keys, and its policy."""

from collections.abc import Sequence

from auditor.domain.approvals import Approval
from auditor.domain.canonical import canonical, parse
from auditor.domain.human_findings import HumanFinding
from auditor.domain.policies import Policy
from auditor.domain.waivers import SignedWaiver
from auditor.errors import WaiverError
from auditor.holding import take_into_use
from auditor.ledgers.events import Event
from auditor.ledgers.key_events import KeyRole
from auditor.ledgers.occasions import (
    approval_kept,
    finding_kept,
    policy_id,
    policy_used,
    waiver_kept,
)
from auditor.store.ledger_reading import LedgerEntry
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


def note_policy(store: Store, policy: Policy, at: str) -> str:
    """Put a policy down where the ledger does not have it, and say what is odd about that.

    Odd is the same name and version with other words, and a version below one that was used
    before: either is what somebody would do who wants a verdict.
    """
    document = canonical(policy.document)
    with store.ledger() as ledger:
        before = ledger.find_under(policy_id(policy.name))
    with store.unit_of_work() as work:
        _append(work, policy_used(policy, at), document)
    return _oddity(policy, before)


def _append(work: UnitOfWork, event: Event, document: bytes) -> None:
    if event.id is not None and not work.happened_before(event.id):
        work.append(event, document)


def _oddity(policy: Policy, before: Sequence[LedgerEntry]) -> str:
    known = [(entry.event.digest, _version(entry)) for entry in before]
    others = [index for index, item in enumerate(known) if item[0] != policy.digest]
    same = [at for at in others if known[at][1] == policy.version]
    if same:
        return (
            f"{policy.name} {policy.version} had other words before ({known[same[-1]][0]}, leaf "
            f"{before[same[-1]].index} of the ledger): a changed policy needs a new version"
        )
    newer = [at for at in others if _is_above(known[at][1], policy.version)]
    if newer:
        return (
            f"{policy.name} {policy.version} is older than {known[newer[-1]][1]}, which was used "
            f"before (leaf {before[newer[-1]].index} of the ledger)"
        )
    return ""


def _version(entry: LedgerEntry) -> str:
    try:
        said = parse(entry.document or b"")
    except (ValueError, RecursionError):
        return ""
    head = said.get("metadata") if isinstance(said, dict) else None
    return str(head.get("version", "")) if isinstance(head, dict) else ""


def _is_above(version: str, other: str) -> bool:
    mine, theirs = order_of(version), order_of(other)
    return mine is not None and theirs is not None and mine > theirs
