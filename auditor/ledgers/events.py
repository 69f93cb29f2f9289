"""What a ledger says of an event: salted digests, and nothing by which a person can be known."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.canonical import Json, parse
from auditor.errors import LedgerError

VERSION = 1
SALT = 32
"""Bytes of a salt."""
DIGEST = "digest"
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_ROLE = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""How times are written: UTC, to the second, so that earlier texts sort before later ones."""
_MEMBERS = {"after", "digest", "id", "subjects", "time", "type", "v"}
# For texts, whole numbers, and member names in ASCII, this is the form of RFC 8785.
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_sha256 = hashlib.sha256


class EventType(StrEnum):
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
class Event:
    """Something that is put down for good.

    ``digest`` is that of the signed thing, or of what was asked; ``subjects`` are the digests of
    what it is about, by role. ``id`` is public and must not tell of anyone; without one the leaf
    is named after its salted digest. ``time`` is UTC, RFC 3339, to the second.
    """

    type: EventType
    digest: str
    time: str
    subjects: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None

    def leaf(self, salt: bytes, after: int) -> "Leaf":
        """Return the leaf; ``after`` is the size of the last checkpoint before it.

        Raises ``LedgerError`` for an id, a role or a time that is not of its form.
        """
        salted = _salted(salt, DIGEST, self.digest)
        leaf = Leaf(
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
class Leaf:
    """An event as the ledger holds it; digests are SHA-256 over a salt and what they stand for."""

    type: EventType
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
            return "a role that is no lower-case word"
        return "" if TIME.fullmatch(self.time) else "a time that is not UTC to the second"

    def entry(self) -> bytes:
        """Return the bytes that the log hashes (RFC 8785)."""
        return _write(
            {
                "v": VERSION,
                "type": self.type.value,
                "id": self.id,
                "digest": self.digest,
                "subjects": dict(self.subjects),
                "time": self.time,
                "after": self.after,
            }
        ).encode()

    @classmethod
    def parse(cls, entry: bytes) -> "Leaf":
        """Read an entry; it must be spelled the one way. Raises ``LedgerError``."""
        try:
            leaf = _leaf(parse(entry))
        except (ValueError, RecursionError):
            leaf = None
        if leaf is not None and not leaf.mistake() and leaf.entry() == entry:
            return leaf
        raise LedgerError(
            "an entry is no event that this version writes",
            cure="Use the version of auditor that wrote it, or a newer one.",
        )

    def opens(self, event: Event, salt: bytes) -> bool:
        """Whether the leaf stands for exactly this event under this salt."""
        try:
            return event.leaf(salt, self.after) == self
        except LedgerError:
            return False


def written(subjects: Mapping[str, str]) -> str:
    """Return digests by role as canonical JSON."""
    return _write(dict(subjects))


def _leaf(found: Json) -> Leaf | None:
    if not isinstance(found, Mapping) or set(found) != _MEMBERS:
        return None
    name, digest, time, after = found["id"], found["digest"], found["time"], found["after"]
    subjects = found["subjects"]
    if not (isinstance(name, str) and isinstance(digest, str) and isinstance(time, str)):
        return None
    if not isinstance(after, int) or isinstance(after, bool) or not isinstance(subjects, Mapping):
        return None
    roles = {role: item for role, item in subjects.items() if isinstance(item, str)}
    return Leaf(EventType(str(found["type"])), name, digest, roles, time, after)


def _salted(salt: bytes, role: str, digest: str) -> str:
    return _sha256(salt + f"{role} {digest}".encode()).hexdigest()
