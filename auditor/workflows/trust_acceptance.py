"""Accept trust policies, each version once and never an older one, and say how one stands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from auditor.domain.evidence import Item, decode_evidence
from auditor.domain.json import Json, JsonObject, JsonPart, compute_digest, encode_canonical
from auditor.domain.key_roles import KeyRole
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.requests import AuditRequest
from auditor.domain.trust_context import (
    ModelBinding,
    StoredTrustState,
    TrustContext,
    TrustPolicyStatus,
    TrustRef,
)
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import RecordError, StoreError
from auditor.reports.folder import RecordFolder
from auditor.store.key_lifecycle import register_key_use
from auditor.store.ledger import LedgerEntry
from auditor.store.record_store import RecordStore
from auditor.store.unit_of_work import NO_PROJECT
from auditor.trust.ledger.events import LedgerEvent, LedgerEventType
from auditor.trust.policies.auditors import compare_policy_versions, find_succession_issues
from auditor.trust.policies.evidence import read_given_policy
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.read import read_trust_policy
from auditor.trust.policies.signed_statements import open_policy_document, verify_trust_policy
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.verification_result import IssueCode, VerificationError
from auditor.workflows.evidence import read_record_secret, unseal_observation
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.waivers import refuse_untrusted_waivers

SIGNATURE_CHECK = "provenance.signature"


@dataclass(frozen=True, slots=True)
class AcceptedTrustPolicy:
    """A version of a trust policy that was accepted, and the public key, as PEM, that signed it.

    ``next_owner`` is the key that may sign the next version in its place.
    """

    ref: TrustRef
    owner: bytes
    next_owner: bytes | None

    @property
    def owners(self) -> tuple[bytes, ...]:
        """Whose signature the next version may bear."""
        return (self.owner,) if self.next_owner is None else (self.owner, self.next_owner)


def list_accepted_versions(store: RecordStore, name: str) -> tuple[AcceptedTrustPolicy, ...]:
    """Return the accepted versions of a trust policy, the oldest first.

    Raises ``StoreError`` for one whose signature does not hold any more.
    """
    with store.ledger() as ledger:
        found = ledger.find_under(_prefix(name))
    return tuple(_read(item) for item in found)


def find_trust_policy_status(store: RecordStore, policy: TrustPolicy) -> TrustPolicyStatus:
    """Return how a trust policy stands to those of its name that the store holds."""
    return compare_policy_versions(
        policy.ref, [item.ref for item in list_accepted_versions(store, policy.name)]
    )


def accept_trust_policy(
    store: RecordStore, policy: TrustPolicy, bundle: bytes, key: bytes | None, at: str
) -> tuple[VerificationStep, ...]:
    """Accept a signed trust policy: pin its owner's key at first use, and enter it in the ledger.

    ``key`` is the owner's, which the first version needs. A later one is signed by the same key, or
    by the one that the last version names as the next owner's. Nothing is kept unless every step
    holds. Raises ``KeyFileError`` for a key that the ledger knows in another role, or ended.
    """
    known = list_accepted_versions(store, policy.name)
    pinned = known[-1].owners if known else tuple(filter(None, [key]))
    owner = VerificationStep.of(
        "owner", _object_to_owner(policy, pinned, key), f"of {policy.owner}"
    )
    signature, signer = _signature(policy, bundle, pinned)
    steps = [owner, signature]
    standing = compare_policy_versions(policy.ref, [item.ref for item in known])
    if standing in {TrustPolicyStatus.UNKNOWN, TrustPolicyStatus.NEWER}:
        steps.append(
            VerificationStep("version", StepResult.HOLDS, f"{policy.version} is the newest so far")
        )
    else:
        mistakes = [f"{it.code}: {it.text}" for it in find_succession_issues(policy.ref, standing)]
        steps.append(
            VerificationStep.of(
                "version", mistakes, f"{policy.version} was accepted before, as it is"
            )
        )
    if all_hold(steps) and signer is not None and standing is not TrustPolicyStatus.ACCEPTED:
        document = encode_canonical({"bundle": bundle.decode(), "owner": signer.decode()})
        subjects = {"trust_policy": policy.digest, "owner": compute_digest(signer)}
        name = f"{_prefix(policy.name)}{policy.version}"
        with store.unit_of_work() as work:
            if work.happened_before(name):
                raise StoreError(
                    f"{policy} was accepted by somebody else meanwhile", cure="Repeat the command."
                )
            register_key_use(work, KeyRole.TRUST, signer.decode(), at)
            event = LedgerEvent(
                LedgerEventType.TRUST_POLICY, compute_digest(document), at, subjects, name
            )
            work.append(event, document)
    return tuple(steps)


def with_store_state(
    prepared: PreparedAudit, store: RecordStore, at: str, project: str = NO_PROJECT
) -> PreparedAudit:
    """Return an audit with what the store knows of its model and of its trust policy at a time."""
    return apply_trust_state(prepared, find_trust_state(store, prepared.request, project), at)


def find_trust_state(
    store: RecordStore, request: AuditRequest, project: str = NO_PROJECT
) -> StoredTrustState:
    """Return what a project knows of what a request names."""
    with store.looking(project) as work:
        bindings, ref = work.contradictions(request), request.trust
    accepted = [] if ref is None else [item.ref for item in list_accepted_versions(store, ref.name)]
    return StoredTrustState(
        bindings,
        TrustPolicyStatus.UNKNOWN if ref is None else compare_policy_versions(ref, accepted),
    )


def apply_trust_state(prepared: PreparedAudit, known: StoredTrustState, at: str) -> PreparedAudit:
    """Return an audit with what a store knew of what it names, at a time."""
    given = prepared.materials.signature.trust
    if given is not None and prepared.request.trust is not None:
        given, when = (
            replace(given, moment=at, standing=known.standing),
            QueryTime(VerificationTime.parse(at).at),
        )
        refuse_untrusted_waivers(prepared.waivers, read_given_policy(given), when, given.standing)
    return _knowing(prepared, given, known.bindings)


def restore_recorded_trust(
    prepared: PreparedAudit, record: AuditRecord, folder: RecordFolder
) -> PreparedAudit:
    """Return an audit that looks at its trust policy when, and as known, as a record's did.

    Raises ``RecordError`` for evidence that is none.
    """
    then, bindings = _recorded(record, folder)
    given = prepared.materials.signature.trust
    if given is not None:
        moment = record.registered if then is None else then.moment
        standing = TrustPolicyStatus.UNKNOWN if then is None else then.standing
        given = replace(given, moment=moment, standing=standing)
    return _knowing(prepared, given, bindings)


def _recorded(
    record: AuditRecord, folder: RecordFolder
) -> tuple[TrustContext | None, tuple[ModelBinding, ...]]:
    seen = read_signature_evidence(record, folder)
    try:
        part = JsonPart(seen, "signature")
        bindings = part.maybe("bindings", tuple[ModelBinding, ...]) or ()
        return part.maybe("trust", TrustContext), bindings
    except RecordError:
        raise _forged() from None


def _knowing(
    prepared: PreparedAudit, trust: TrustContext | None, bindings: tuple[ModelBinding, ...]
) -> PreparedAudit:
    signature = replace(prepared.materials.signature, trust=trust, bindings=bindings)
    return replace(prepared, materials=replace(prepared.materials, signature=signature))


def read_signature_evidence(record: AuditRecord, folder: RecordFolder) -> JsonObject:
    """Return what a record's audit saw of the artifact's signature; nothing where none looked.

    Raises ``RecordError`` for evidence that is none, and for what is withheld.
    """
    for item in record.observations:
        if item.check == SIGNATURE_CHECK:
            try:
                found = _unsealed(item, record, folder)
            except (KeyError, ValueError):
                raise _forged() from None
            return found if isinstance(found, dict) else {}
    return {}


def _unsealed(seen: CheckObservation, record: AuditRecord, folder: RecordFolder) -> Item:
    if not seen.committed:
        return decode_evidence(folder.evidence(seen.evidence["signature"]))
    shown = unseal_observation(folder, seen, read_record_secret(folder, record))["signature"]
    if not shown.whole or shown.item is None:
        raise RecordError(
            f"{folder.path} withholds what was seen of the artifact's signature",
            cure="Take the folder that shows it: `auditor disclose --also provenance.signature`.",
        )
    return shown.item


def _forged() -> RecordError:
    return RecordError(
        f"the evidence of {SIGNATURE_CHECK} is not what that check sees",
        cure="Take the folder as auditor wrote it, unchanged.",
    )


def _object_to_owner(
    policy: TrustPolicy, pinned: tuple[bytes, ...], key: bytes | None
) -> Iterator[str]:
    if not pinned:
        yield f"{IssueCode.POLICY_OWNER}: {policy.name} has no owner yet: give the owner's --key"
    elif key is not None and key not in pinned:
        yield (
            f"{IssueCode.POLICY_OWNER}: {policy.name} was accepted before under another owner's key"
        )


def _signature(
    policy: TrustPolicy, bundle: bytes, pinned: tuple[bytes, ...]
) -> tuple[VerificationStep, bytes | None]:
    """Look at the signature, and say whose of the pinned keys it is."""
    if not pinned:
        step = VerificationStep("signature", StepResult.NOT_CHECKED, "no expected signer is named")
        return step, None
    looked = [(verify_trust_policy(bundle, policy, key), key) for key in pinned]
    found, key = next((pair for pair in looked if pair[0].verified), looked[0])
    mistakes = [] if found.verified else [f"{it.code}: {it.text}" for it in found.objections]
    return VerificationStep.of("signature", mistakes, f"of {found.identity}"), key


def _read(entry: LedgerEntry) -> AcceptedTrustPolicy:
    try:
        value = decode_evidence(entry.document or b"")
        found: dict[str, Json] = value if isinstance(value, dict) else {}
        kept = {name: item for name, item in found.items() if isinstance(item, str)}
        owner = kept["owner"].encode()
        document = open_policy_document(kept["bundle"].encode(), owner)
    except (ValueError, KeyError, VerificationError):
        raise StoreError(
            f"the trust policy in leaf {entry.index} of the ledger is damaged",
            cure="See what `auditor ledger verify` finds, and restore the database from a copy.",
        ) from None
    policy = read_trust_policy(document, lambda _: f"leaf {entry.index} of the ledger")
    return AcceptedTrustPolicy(policy.ref, owner, policy.next_owner)


def _prefix(name: str) -> str:
    return f"trust-{sha256(name.encode()).hexdigest()[:32]}-"
