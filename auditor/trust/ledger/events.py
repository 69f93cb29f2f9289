"""The events that an audit brings about: a request is registered, a record is kept."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from auditor.domain.approvals import Approval
from auditor.domain.canonical import canonical, digest, parse
from auditor.domain.challenges import Challenge
from auditor.domain.human_findings import HumanFinding
from auditor.domain.policies import Policy
from auditor.domain.provenance import provenance_of
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import SignedWaiver
from auditor.errors import LedgerError
from auditor.ledgers.events import Event, EventType

LINEAGE = "lineage"
"""The role of the digest of all edges that a document states."""


def registration_of(request: AuditRequest, at: str) -> Event:
    """Return the event that a request was registered, before anything ran.

    The request's digest covers everything that it asks for, the seed too.
    """
    subjects = {"audit_file": request.audit_file, **_inputs(request)}
    return Event(EventType.REQUEST, request.digest, at, subjects)


def record_kept(record: AuditRecord, bundle: bytes) -> Event:
    """Return the event that a signed record was kept; ``bundle`` carries its signature.

    The digest of its edges is a subject, so that none of them can be taken out of a store.
    """
    signature = digest(bundle)
    subjects = {
        "record": record.digest,
        "request": record.request.digest,
        LINEAGE: provenance_of(record, signature).digest,
        **_inputs(record.request),
    }
    if record.derived_from is not None:
        subjects["derived_from"] = record.derived_from
    return Event(EventType.RECORD, signature, record.finished, subjects, record.id)


def tells_of(event: Event, record: AuditRecord, bundle: bytes) -> bool:
    """Whether an event is that of this record and signature.

    What is bound of lineage is for a store's audit: another version may tell more of the same
    record, and entries from before there was lineage bind none.
    """
    return _without_lineage(event) == _without_lineage(record_kept(record, bundle))


def challenge_kept(challenge: Challenge, bundle: bytes) -> Event:
    """Return the event that a signed challenge to a record was kept."""
    signed = digest(bundle)
    subjects = {
        "record": challenge.record,
        "examples": challenge.examples,
        LINEAGE: challenge.provenance(signed).digest,
    }
    return Event(EventType.CHALLENGE, signed, challenge.tried, subjects)


def waiver_kept(signed: SignedWaiver, at: str) -> tuple[Event, bytes]:
    """Return the event that a signed waiver was kept, and its document: the bundle and the key.

    Its id is the start of its bundle's digest, which covers a signature, so that nobody can try
    out what the waiver says.
    """
    document = _with_key(signed.bundle, signed.key)
    subjects = {"waiver": signed.ref.waiver, "key": signed.ref.key}
    if signed.waiver.artifact is not None:
        subjects["artifact"] = signed.waiver.artifact
    name = _named(EventType.WAIVER, signed.ref.digest)
    return Event(EventType.WAIVER, digest(document), at, subjects, name), document


def approval_kept(approval: Approval, bundle: bytes, key: bytes, at: str) -> tuple[Event, bytes]:
    """Return the event that a signed approval, or rejection, was kept, and its document."""
    document = _with_key(bundle, key)
    name = _named(EventType.APPROVAL, digest(bundle))
    return Event(
        EventType.APPROVAL, digest(document), at, {"record": approval.record}, name
    ), document


def finding_kept(finding: HumanFinding, bundle: bytes, key: bytes, at: str) -> tuple[Event, bytes]:
    """Return the event that a signed human finding was kept, and its document."""
    document = _with_key(bundle, key)
    name = _named(EventType.FINDING, digest(bundle))
    subjects = {"record": finding.record}
    return Event(EventType.FINDING, digest(document), at, subjects, name), document


def policy_used(policy: Policy, at: str) -> Event:
    """Return the event that a policy was used; its document is what the event's digest names."""
    name = f"{policy_id(policy.name)}{policy.digest.removeprefix('sha256:')[:32]}"
    return Event(EventType.POLICY, policy.digest, at, {}, name)


def policy_id(name: str) -> str:
    """Return how the ids begin under which the ledger holds all editions of a policy."""
    return f"{EventType.POLICY}-{sha256(name.encode()).hexdigest()[:32]}-"


def opened_document(document: bytes) -> tuple[bytes, bytes]:
    """Return the bundle and the key in the document of a decision. Raises ``LedgerError``."""
    try:
        said = parse(document)
    except (ValueError, RecursionError):
        said = None
    found = said if isinstance(said, dict) else {}
    bundle, key = found.get("bundle"), found.get("key")
    if not isinstance(bundle, str) or not isinstance(key, str):
        raise LedgerError(
            "the ledger's document of a decision cannot be read",
            cure="See what `auditor ledger verify` finds, and restore the database from a copy.",
        )
    return bundle.encode(), key.encode()


def _with_key(bundle: bytes, key: bytes) -> bytes:
    return canonical({"bundle": bundle.decode(), "key": key.decode()})


def _named(kind: EventType, signed: str) -> str:
    return f"{kind}-{signed.removeprefix('sha256:')[:32]}"


def cosignature_kept(size: int, line: str, at: str) -> Event:
    """Return the event that a witness cosigned the checkpoint of ``size`` leaves."""
    return Event(EventType.COSIGNATURE, digest(f"{size}\n{line}".encode()), at)


def erasure_of(record: AuditRecord, at: str) -> tuple[Event, bytes]:
    """Return the event that what opens a record's evidence was destroyed, and its document."""
    document = canonical({"erased": "evidence", "record": record.digest})
    subjects = {"record": record.digest}
    return Event(EventType.ERASURE, digest(document), at, subjects, erasure_id(record)), document


def erasure_id(record: AuditRecord) -> str:
    """Return the id under which the ledger notes a record's erasure."""
    return f"{EventType.ERASURE}:{record.id}"


def notes_erasure(event: Event, record: AuditRecord) -> bool:
    """Whether an event is the erasure of this very record."""
    return event == erasure_of(record, event.time)[0]


def _without_lineage(event: Event) -> Event:
    subjects = {role: item for role, item in event.subjects.items() if role != LINEAGE}
    return replace(event, subjects=subjects)


def _inputs(request: AuditRequest) -> Mapping[str, str]:
    named = dict(request.papers)
    if request.artifact is not None:
        named["artifact"] = request.artifact.digest
    if request.trust is not None:
        named["trust_policy"] = request.trust.digest
    by_role: dict[str, list[str]] = {}
    for item in request.datasets:
        by_role.setdefault(item.role, []).append(item.digest)
    for role, digests in by_role.items():
        many = len(digests) > 1
        named |= {
            f"data.{role}.{at}" if many else f"data.{role}": item for at, item in enumerate(digests)
        }
    return named
