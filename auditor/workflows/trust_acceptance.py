"""Accept trust policies, each version once and never an older one, and say how one stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import cast

from auditor.domain.canonical import Json, JsonObject, canonical, digest
from auditor.domain.evidence import Item, decode
from auditor.domain.records import AuditRecord, Observation
from auditor.domain.requests import AuditRequest
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.domain.trust import (
    Binding,
    Remembered,
    Standing,
    TrustGiven,
    TrustRef,
    read_binding,
    read_trust_given,
)
from auditor.errors import RecordError, StoreError
from auditor.folders import RecordFolder
from auditor.granting import refuse_untrusted
from auditor.holding import take_into_use
from auditor.ledgers.events import Event, EventType
from auditor.ledgers.key_events import KeyRole
from auditor.preparing import Prepared
from auditor.signatures.objections import Code, Refused
from auditor.signatures.trust import Moment
from auditor.store.bindings import NO_PROJECT
from auditor.store.ledger_reading import LedgerEntry
from auditor.store.store import Store
from auditor.trusting.asking import When
from auditor.trusting.evidence import policy_given
from auditor.trusting.policies import TrustPolicy
from auditor.trusting.reading import read_trust_policy
from auditor.trusting.sealing import signed_document, verify_trust_policy
from auditor.trusting.standings import object_to_standing, standing_of
from auditor.unsealing import secret_of, unseal

SIGNATURE_CHECK = "provenance.signature"


@dataclass(frozen=True, slots=True)
class Accepted:
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


def accepted_of(store: Store, name: str) -> tuple[Accepted, ...]:
    """Return the accepted versions of a trust policy, the oldest first.

    Raises ``StoreError`` for one whose signature does not hold any more.
    """
    with store.ledger() as ledger:
        found = ledger.find_under(_prefix(name))
    return tuple(_read(item) for item in found)


def standing_in(store: Store, policy: TrustPolicy) -> Standing:
    """Return how a trust policy stands to those of its name that the store holds."""
    return standing_of(policy.ref, [item.ref for item in accepted_of(store, policy.name)])


def accept(
    store: Store, policy: TrustPolicy, bundle: bytes, key: bytes | None, at: str
) -> tuple[Step, ...]:
    """Accept a signed trust policy: pin its owner's key at first use, and enter it in the ledger.

    ``key`` is the owner's, which the first version needs. A later one is signed by the same key, or
    by the one that the last version names as the next owner's. Nothing is kept unless every step
    holds. Raises ``KeyFileError`` for a key that the ledger knows in another role, or ended.
    """
    known = accepted_of(store, policy.name)
    pinned = known[-1].owners if known else tuple(filter(None, [key]))
    owner = Step.of("owner", _object_to_owner(policy, pinned, key), f"of {policy.owner}")
    signature, signer = _signature(policy, bundle, pinned)
    steps = [owner, signature]
    standing = standing_of(policy.ref, [item.ref for item in known])
    steps.append(_version(policy, standing))
    if all_hold(steps) and signer is not None and standing is not Standing.ACCEPTED:
        _enter(store, policy, bundle, signer, at)
    return tuple(steps)


def inform(prepared: Prepared, store: Store, at: str, project: str = NO_PROJECT) -> Prepared:
    """Return an audit with what the store knows of its model and of its trust policy at a time."""
    return reminded(prepared, remembered(store, prepared.request, project), at)


def remembered(store: Store, request: AuditRequest, project: str = NO_PROJECT) -> Remembered:
    """Return what a project knows of what a request names."""
    with store.looking(project) as work:
        bindings, ref = work.contradictions(request), request.trust
    accepted = [] if ref is None else [item.ref for item in accepted_of(store, ref.name)]
    return Remembered(bindings, Standing.UNKNOWN if ref is None else standing_of(ref, accepted))


def reminded(prepared: Prepared, known: Remembered, at: str) -> Prepared:
    """Return an audit with what a store knew of what it names, at a time."""
    given = prepared.materials.signature.trust
    if given is not None and prepared.request.trust is not None:
        given, when = replace(given, moment=at, standing=known.standing), When(Moment.parse(at).at)
        refuse_untrusted(prepared.waivers, policy_given(given), when, given.standing)
    return _knowing(prepared, given, known.bindings)


def as_recorded(prepared: Prepared, record: AuditRecord, folder: RecordFolder) -> Prepared:
    """Return an audit that looks at its trust policy when, and as known, as a record's did.

    Raises ``RecordError`` for evidence that is none.
    """
    then, bindings = _recorded(record, folder)
    given = prepared.materials.signature.trust
    if given is not None:
        moment = record.registered if then is None else then.moment
        standing = Standing.UNKNOWN if then is None else then.standing
        given = replace(given, moment=moment, standing=standing)
    return _knowing(prepared, given, bindings)


def _recorded(
    record: AuditRecord, folder: RecordFolder
) -> tuple[TrustGiven | None, tuple[Binding, ...]]:
    seen = signature_seen(record, folder)
    try:
        said, listed = seen.get("trust"), cast("Sequence[JsonObject]", seen.get("bindings") or ())
        then = None if said is None else read_trust_given(cast("JsonObject", said))
        return then, tuple(read_binding(item) for item in listed)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _forged() from None


def _knowing(
    prepared: Prepared, trust: TrustGiven | None, bindings: tuple[Binding, ...]
) -> Prepared:
    signature = replace(prepared.materials.signature, trust=trust, bindings=bindings)
    return replace(prepared, materials=replace(prepared.materials, signature=signature))


def signature_seen(record: AuditRecord, folder: RecordFolder) -> JsonObject:
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


def _unsealed(seen: Observation, record: AuditRecord, folder: RecordFolder) -> Item:
    if not seen.committed:
        return decode(folder.evidence(seen.evidence["signature"]))
    shown = unseal(folder, seen, secret_of(folder, record))["signature"]
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
        yield f"{Code.POLICY_OWNER}: {policy.name} has no owner yet: give the owner's --key"
    elif key is not None and key not in pinned:
        yield f"{Code.POLICY_OWNER}: {policy.name} was accepted before under another owner's key"


def _signature(
    policy: TrustPolicy, bundle: bytes, pinned: tuple[bytes, ...]
) -> tuple[Step, bytes | None]:
    """Look at the signature, and say whose of the pinned keys it is."""
    if not pinned:
        step = Step("signature", StepResult.NOT_CHECKED, "nobody says whose it must be")
        return step, None
    looked = [(verify_trust_policy(bundle, policy, key), key) for key in pinned]
    found, key = next((pair for pair in looked if pair[0].verified), looked[0])
    mistakes = [] if found.verified else [f"{it.code}: {it.text}" for it in found.objections]
    return Step.of("signature", mistakes, f"of {found.identity}"), key


def _version(policy: TrustPolicy, standing: Standing) -> Step:
    if standing in {Standing.UNKNOWN, Standing.NEWER}:
        return Step("version", StepResult.HOLDS, f"{policy.version} is the newest so far")
    mistakes = [f"{it.code}: {it.text}" for it in object_to_standing(policy.ref, standing)]
    return Step.of("version", mistakes, f"{policy.version} was accepted before, as it is")


def _enter(store: Store, policy: TrustPolicy, bundle: bytes, owner: bytes, at: str) -> None:
    document = canonical({"bundle": bundle.decode(), "owner": owner.decode()})
    subjects = {"trust_policy": policy.digest, "owner": digest(owner)}
    name = f"{_prefix(policy.name)}{policy.version}"
    with store.unit_of_work() as work:
        if work.happened_before(name):
            raise StoreError(
                f"{policy} was accepted by somebody else meanwhile", cure="Repeat the command."
            )
        take_into_use(work, KeyRole.TRUST, owner.decode(), at)
        event = Event(EventType.TRUST_POLICY, digest(document), at, subjects, name)
        work.append(event, document)


def _read(entry: LedgerEntry) -> Accepted:
    try:
        kept = _kept(decode(entry.document or b""))
        owner = kept["owner"].encode()
        document = signed_document(kept["bundle"].encode(), owner)
    except (ValueError, KeyError, Refused):
        raise StoreError(
            f"the trust policy in leaf {entry.index} of the ledger is damaged",
            cure="See what `auditor ledger verify` finds, and restore the database from a copy.",
        ) from None
    policy = read_trust_policy(document, lambda _: f"leaf {entry.index} of the ledger")
    return Accepted(policy.ref, owner, policy.next_owner)


def _kept(value: object) -> dict[str, str]:
    found: dict[str, Json] = value if isinstance(value, dict) else {}
    return {name: item for name, item in found.items() if isinstance(item, str)}


def _prefix(name: str) -> str:
    return f"trust-{sha256(name.encode()).hexdigest()[:32]}-"
