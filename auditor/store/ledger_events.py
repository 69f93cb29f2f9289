"""Ledger events of signed documents and policies that an audit is judged by."""

from collections.abc import Sequence

from auditor.domain.approvals import Approval, HumanFinding
from auditor.domain.json import encode_canonical
from auditor.domain.key_roles import KeyRole
from auditor.domain.policies import Policy
from auditor.domain.waivers import SignedWaiver
from auditor.errors import WaiverError
from auditor.store.key_lifecycle import register_key_use
from auditor.store.record_store import RecordStore
from auditor.store.unit_of_work import NO_PROJECT, UnitOfWork
from auditor.trust.ledger.events import (
    LedgerEvent,
    build_approval_event,
    build_finding_event,
    build_policy_event,
    build_waiver_event,
)
from auditor.trust.policies.trust_policy import version_sort_key


def log_waivers(
    store: RecordStore, waivers: Sequence[SignedWaiver], signer: bytes, at: str
) -> None:
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
            log_waiver(work, item, at)


def log_waiver(work: UnitOfWork, signed: SignedWaiver, at: str) -> None:
    """Put one signed waiver into the ledger, where it is not there yet."""
    register_key_use(work, KeyRole.DECISION, signed.key.decode(), at)
    _append(work, *build_waiver_event(signed, at))


def log_approval(work: UnitOfWork, approval: Approval, bundle: bytes, key: bytes, at: str) -> None:
    """Put one signed approval into the ledger, and its key into use for decisions.

    Raises ``KeyFileError`` where the key has come to its end or has another role.
    """
    register_key_use(work, KeyRole.DECISION, key.decode(), at)
    _append(work, *build_approval_event(approval, bundle, key, at))


def log_human_finding(
    work: UnitOfWork, finding: HumanFinding, bundle: bytes, key: bytes, at: str
) -> None:
    """Put one signed human finding into the ledger, and its key into use for decisions.

    Raises ``KeyFileError`` where the key has come to its end or has another role.
    """
    register_key_use(work, KeyRole.DECISION, key.decode(), at)
    _append(work, *build_finding_event(finding, bundle, key, at))


def log_policy(store: RecordStore, policy: Policy, at: str, project: str = NO_PROJECT) -> str:
    """Put a policy down where the ledger does not have it, and say what is odd about that.

    Odd is the same name and version with other words, and a version below one that the project used
    before: either is what somebody would do who wants a verdict.
    """
    document = encode_canonical(policy.document)
    with store.unit_of_work(project) as work:
        before = work.policies_used(policy.name)
        _append(work, build_policy_event(policy, at), document)
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


def _append(work: UnitOfWork, event: LedgerEvent, document: bytes) -> None:
    if event.id is not None and not work.happened_before(event.id):
        work.append(event, document)


def _is_above(version: str, other: str) -> bool:
    mine, theirs = version_sort_key(version), version_sort_key(other)
    return mine is not None and theirs is not None and mine > theirs
