"""Ledger events and leaves: salted digests of audit events, and the openings of leaves.

A leaf must not contain data that identifies a person.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from auditor.domain.approvals import Approval, HumanFinding
from auditor.domain.challenges import Challenge
from auditor.domain.digests import Digest
from auditor.domain.json import (
    compute_digest,
    encode_canonical,
    parse_json,
    read_json,
    write_fields,
)
from auditor.domain.policies import Policy
from auditor.domain.provenance import build_provenance
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import SignedWaiver
from auditor.errors import LedgerError, RecordError
from auditor.trust.ledger.merkle import TreeHead
from auditor.trust.ledger.notes import NoteKey
from auditor.trust.ledger.receipts import LedgerReceipt

VERSION = 1
SALT = 32
"""Bytes of a salt."""
DIGEST = "digest"
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_ROLE = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""How times are written: UTC, to the second, so that earlier texts sort before later ones."""
# For texts, whole numbers, and member names in ASCII, this is the form of RFC 8785.
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_sha256 = hashlib.sha256


class LedgerEventType(StrEnum):
    """What happened."""

    REQUEST = "request"
    RECORD = "record"
    WAIVER = "waiver"
    APPROVAL = "approval"
    FINDING = "finding"
    POLICY = "policy"
    TRUST_POLICY = "trust-policy"
    KEY_EVENT = "key-event"
    CHALLENGE = "challenge"
    COSIGNATURE = "cosignature"
    ERASURE = "erasure"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """Something that is put down for good.

    ``digest`` is that of the signed thing, or of what was asked; ``subjects`` are the digests of
    what it is about, by role. ``id`` is public and must not tell of anyone; without one the leaf
    is named after its salted digest. ``time`` is UTC, RFC 3339, to the second.
    """

    type: LedgerEventType
    digest: str
    time: str
    subjects: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None

    def leaf(self, salt: bytes, after: int) -> "LedgerLeaf":
        """Return the leaf; ``after`` is the size of the last checkpoint before it.

        Raises ``LedgerError`` for an id, a role or a time that is not of its form.
        """
        salted = _salted(salt, DIGEST, self.digest)
        leaf = LedgerLeaf(
            type=self.type,
            id=f"{self.type}-{salted[:24]}" if self.id is None else self.id,
            digest=salted,
            subjects={role: _salted(salt, role, item) for role, item in self.subjects.items()},
            time=self.time,
            after=after,
        )
        mistake = leaf.mistake()
        if mistake:
            raise LedgerError(f"an event has {mistake}", cure="Write it as docs/ledger.md says.")
        return leaf


@dataclass(frozen=True, slots=True)
class LedgerLeaf:
    """An event as the ledger holds it; digests are SHA-256 over a salt and what they stand for."""

    type: LedgerEventType
    id: str
    digest: str
    subjects: Mapping[str, str]
    time: str
    after: int

    def mistake(self) -> str:
        """Say which member is not of its form; nothing when all are."""
        if not _IDENTIFIER.fullmatch(self.id):
            return "an id that is not 1 to 128 letters, digits and signs"
        if not all(_ROLE.fullmatch(role) and role != DIGEST for role in self.subjects):
            return "a role that is not a lower-case word"
        return "" if TIME.fullmatch(self.time) else "a time that is not UTC to the second"

    def entry(self) -> bytes:
        """Return the bytes that the log hashes (RFC 8785)."""
        return _write({"v": VERSION, **write_fields(self)}).encode()

    @classmethod
    def parse(cls, entry: bytes) -> "LedgerLeaf":
        """Read an entry; it must be spelled the one way. Raises ``LedgerError``."""
        try:
            leaf = read_json(cls, parse_json(entry), "entry")
        except (ValueError, RecursionError, RecordError):
            leaf = None
        if leaf is not None and not leaf.mistake() and leaf.entry() == entry:
            return leaf
        raise LedgerError(
            "an entry is not an event that this version writes",
            cure="Use the version of auditor that wrote it, or a newer one.",
        )

    def opens(self, event: LedgerEvent, salt: bytes) -> bool:
        """Whether the leaf stands for exactly this event under this salt."""
        try:
            return event.leaf(salt, self.after) == self
        except LedgerError:
            return False


def encode_digests(subjects: Mapping[str, str]) -> str:
    """Return digests by role as canonical JSON."""
    return _write(dict(subjects))


def _salted(salt: bytes, role: str, digest: str) -> str:
    return _sha256(salt + f"{role} {digest}".encode()).hexdigest()


LINEAGE = "lineage"
"""The role of the digest of all edges that a document states."""


def build_registration_event(request: AuditRequest, at: str) -> LedgerEvent:
    """Return the event that a request was registered, before anything ran.

    The request's digest covers everything that it asks for, the seed too.
    """
    subjects = {"audit_file": request.audit_file, **_inputs(request)}
    return LedgerEvent(LedgerEventType.REQUEST, request.digest, at, subjects)


def build_record_event(record: AuditRecord, bundle: bytes) -> LedgerEvent:
    """Return the event that a signed record was kept; ``bundle`` carries its signature.

    The digest of its edges is a subject, so that none of them can be taken out of a store.
    """
    signature = compute_digest(bundle)
    subjects = {
        "record": record.digest,
        "request": record.request.digest,
        LINEAGE: build_provenance(record, signature).digest,
        **_inputs(record.request),
    }
    if record.derived_from is not None:
        subjects["derived_from"] = record.derived_from
    return LedgerEvent(LedgerEventType.RECORD, signature, record.finished, subjects, record.id)


def is_event_of_record(event: LedgerEvent, record: AuditRecord, bundle: bytes) -> bool:
    """Whether an event is that of this record and signature.

    What is bound of lineage is for a store's audit: another version may tell more of the same
    record, and entries from before there was lineage bind none.
    """
    return _without_lineage(event) == _without_lineage(build_record_event(record, bundle))


def build_challenge_event(challenge: Challenge, bundle: bytes) -> LedgerEvent:
    """Return the event that a signed challenge to a record was kept."""
    signed = compute_digest(bundle)
    subjects = {
        "record": challenge.record,
        "examples": challenge.examples,
        LINEAGE: challenge.provenance(signed).digest,
    }
    return LedgerEvent(LedgerEventType.CHALLENGE, signed, challenge.tried, subjects)


def build_waiver_event(signed: SignedWaiver, at: str) -> tuple[LedgerEvent, bytes]:
    """Return the event that a signed waiver was kept, and its document: the bundle and the key.

    Its id is the start of its bundle's digest, which covers a signature, so that nobody can try
    out what the waiver says.
    """
    document = _with_key(signed.bundle, signed.key)
    subjects = {"waiver": signed.ref.waiver, "key": signed.ref.key}
    if signed.waiver.artifact is not None:
        subjects["artifact"] = signed.waiver.artifact
    name = _named(LedgerEventType.WAIVER, signed.ref.digest)
    return LedgerEvent(
        LedgerEventType.WAIVER, compute_digest(document), at, subjects, name
    ), document


def build_approval_event(
    approval: Approval, bundle: bytes, key: bytes, at: str
) -> tuple[LedgerEvent, bytes]:
    """Return the event that a signed approval, or rejection, was kept, and its document."""
    document = _with_key(bundle, key)
    name = _named(LedgerEventType.APPROVAL, compute_digest(bundle))
    return LedgerEvent(
        LedgerEventType.APPROVAL, compute_digest(document), at, {"record": approval.record}, name
    ), document


def build_finding_event(
    finding: HumanFinding, bundle: bytes, key: bytes, at: str
) -> tuple[LedgerEvent, bytes]:
    """Return the event that a signed human finding was kept, and its document."""
    document = _with_key(bundle, key)
    name = _named(LedgerEventType.FINDING, compute_digest(bundle))
    subjects = {"record": finding.record}
    return LedgerEvent(
        LedgerEventType.FINDING, compute_digest(document), at, subjects, name
    ), document


def build_policy_event(policy: Policy, at: str) -> LedgerEvent:
    """Return the event that a policy was used; its document is what the event's digest names."""
    name = f"{policy_id_prefix(policy.name)}{Digest(policy.digest).hex[:32]}"
    return LedgerEvent(LedgerEventType.POLICY, policy.digest, at, {}, name)


def policy_id_prefix(name: str) -> str:
    """Return how the ids begin under which the ledger holds all editions of a policy."""
    return f"{LedgerEventType.POLICY}-{sha256(name.encode()).hexdigest()[:32]}-"


def open_decision_document(document: bytes) -> tuple[bytes, bytes]:
    """Return the bundle and the key in the document of a decision. Raises ``LedgerError``."""
    try:
        said = parse_json(document)
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
    return encode_canonical({"bundle": bundle.decode(), "key": key.decode()})


def _named(kind: LedgerEventType, signed: str) -> str:
    return f"{kind}-{Digest(signed).hex[:32]}"


def build_cosignature_event(size: int, line: str, at: str) -> LedgerEvent:
    """Return the event that a witness cosigned the checkpoint of ``size`` leaves."""
    return LedgerEvent(LedgerEventType.COSIGNATURE, compute_digest(f"{size}\n{line}".encode()), at)


def build_erasure_event(record: AuditRecord, at: str) -> tuple[LedgerEvent, bytes]:
    """Return the event that what opens a record's evidence was destroyed, and its document."""
    document = encode_canonical({"erased": "evidence", "record": record.digest})
    subjects = {"record": record.digest}
    return LedgerEvent(
        LedgerEventType.ERASURE, compute_digest(document), at, subjects, erasure_event_id(record)
    ), document


def erasure_event_id(record: AuditRecord) -> str:
    """Return the id under which the ledger notes a record's erasure."""
    return f"{LedgerEventType.ERASURE}:{record.id}"


def is_erasure_event(event: LedgerEvent, record: AuditRecord) -> bool:
    """Whether an event is the erasure of this very record."""
    return event == build_erasure_event(record, event.time)[0]


def _without_lineage(event: LedgerEvent) -> LedgerEvent:
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


_CURE = "Take the proof as `auditor` wrote it, unchanged, or make it again: `auditor ledger prove`."


@dataclass(frozen=True, slots=True)
class LeafOpening:
    """A leaf with what opens it; it travels in a receipt, beside the proof.

    ``document`` is the thing whose digest the event names, where it travels along.
    """

    leaf: LedgerLeaf
    salt: bytes
    digest: str
    subjects: Mapping[str, str]
    document: bytes | None = None

    @property
    def event(self) -> LedgerEvent:
        """The event that the leaf is said to stand for."""
        leaf = self.leaf
        return LedgerEvent(leaf.type, self.digest, leaf.time, self.subjects, leaf.id)

    def emit(self) -> bytes:
        """Return canonical JSON."""
        brought = {} if self.document is None else {"document": self.document.decode()}
        return encode_canonical(
            {
                "digest": self.digest,
                "leaf": self.leaf.entry().decode(),
                "salt": self.salt.hex(),
                "subjects": dict(self.subjects),
                **brought,
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> "LeafOpening":
        """Read the JSON. Raises ``LedgerError`` where it is none, or does not open its leaf."""
        try:
            found = parse_json(raw)
            leaf, salt, digest, subjects, document = _members(found)
            opener = bytes.fromhex(salt)
            opening = cls(LedgerLeaf.parse(leaf.encode()), opener, digest, subjects, document)
            # A text that UTF-8 cannot write, such as half a surrogate pair, is a ValueError too.
            opens = opening.leaf.opens(opening.event, opening.salt)
            opens = opens and (document is None or compute_digest(document) == digest)
        except (ValueError, RecursionError):
            raise _unopened("what should open it is malformed") from None
        if len(opening.salt) != SALT or not opens:
            raise _unopened("the digests beside it are not those that it was made of")
        return opening


@dataclass(frozen=True, slots=True)
class EventInclusion:
    """An event is in a log: at which index, and in a tree of which head."""

    opening: LeafOpening
    index: int
    head: TreeHead
    origin: str


def open_receipt(raw: bytes, key: NoteKey) -> EventInclusion:
    """Return what a receipt proves under the log's key. Raises ``LedgerError`` where it does not.

    What the digests stand for is for the caller to compare.
    """
    receipt = LedgerReceipt.parse(raw)
    opening = LeafOpening.parse(receipt.extra)
    checkpoint = receipt.open(opening.leaf.entry(), key)
    return EventInclusion(opening, receipt.index, checkpoint.head, checkpoint.origin)


def _members(found: object) -> tuple[str, str, str, Mapping[str, str], bytes | None]:
    members = {"digest", "leaf", "salt", "subjects"}
    if not isinstance(found, Mapping) or set(found) - {"document"} != members:
        raise ValueError
    leaf, salt, digest, subjects = (found[key] for key in ("leaf", "salt", "digest", "subjects"))
    document = found.get("document", "")
    listed = subjects.values() if isinstance(subjects, Mapping) else [None]
    if not all(isinstance(item, str) for item in (leaf, salt, digest, document, *listed)):
        raise ValueError
    return leaf, salt, digest, subjects, document.encode() if "document" in found else None


def _unopened(reason: str) -> LedgerError:
    return LedgerError(f"the leaf of a ledger proof cannot be opened: {reason}", cure=_CURE)
