"""What happens to a key: it comes into use in one role, is followed by another, or is revoked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.canonical import Json, canonical, digest, parse
from auditor.errors import LedgerError
from auditor.ledgers.events import TIME, Event, EventType

KEYS = "key-"
"""How the ids of key events begin."""


class KeyRole(StrEnum):
    """What a key signs: one thing, so that no signature can pass for one of another kind."""

    REPORT = "report"
    LEDGER = "ledger"
    MODEL = "model"
    TRUST = "trust"
    DECISION = "decision"
    AGENT = "agent"


class KeyChange(StrEnum):
    """What may happen to a key."""

    IN_USE = "in-use"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One change in the life of the public key ``public`` (PEM, or the text form of a note's key).

    A key comes into use until ``not_after``, and where it follows another, ``replaces`` is that one
    and ``rotation`` a bundle in which that one says so. A retired key is ``replaced_by`` the next.
    A revoked one counts for nothing ``since`` a time, for a ``reason``. Times are UTC, RFC 3339.
    """

    change: KeyChange
    role: str
    public: str
    not_after: str | None = None
    replaces: str | None = None
    rotation: str | None = None
    replaced_by: str | None = None
    since: str | None = None
    reason: str | None = None

    def event(self, at: str) -> tuple[Event, bytes]:
        """Return the ledger's event at the time ``at``, and the document that it names."""
        document = self.document()
        name = key_event_id(self.role, self.public)
        return Event(EventType.KEY_EVENT, digest(document), at, {}, name), document

    def document(self) -> bytes:
        """Return canonical JSON of what is said, and of nothing that is not."""
        said = {"event": self.change.value, "key": self.public, "role": self.role}
        said |= {name: found for name in _DETAILS if (found := getattr(self, name)) is not None}
        return canonical(said)

    @classmethod
    def parse(cls, document: bytes) -> "KeyEvent":
        """Read a document. Raises ``LedgerError`` where it says what no version writes."""
        try:
            found = _members(parse(document))
            event = cls(KeyChange(found.pop("event")), found.pop("role"), found.pop("key"), **found)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _malformed("it is no event of a key") from None
        missing = [name for name in _NEEDED[event.change] if getattr(event, name) is None]
        times = [item for item in (event.not_after, event.since) if item is not None]
        if missing or not all(TIME.fullmatch(item) for item in times):
            raise _malformed("it lacks a member, or has a time that is not UTC to the second")
        if (event.replaces is None) != (event.rotation is None):
            raise _malformed("it follows another key without that one's word")
        return event


def key_event_id(role: str, public: str) -> str:
    """Return the id under which the ledger holds all that happens to a key."""
    return f"{KEYS}{role}-{hashlib.sha256(public.encode()).hexdigest()[:32]}"


_DETAILS = ("not_after", "replaces", "rotation", "replaced_by", "since", "reason")
_NEEDED: Mapping[KeyChange, tuple[str, ...]] = {
    KeyChange.IN_USE: (),
    KeyChange.RETIRED: ("replaced_by",),
    KeyChange.REVOKED: ("since", "reason"),
}


def _members(found: Json) -> dict[str, str]:
    if not isinstance(found, Mapping) or set(found) - {"event", "key", "role", *_DETAILS}:
        raise ValueError
    members = {name: item for name, item in found.items() if isinstance(item, str)}
    if len(members) != len(found):
        raise ValueError
    return members


def _malformed(reason: str) -> LedgerError:
    return LedgerError(
        f"a key event of the ledger cannot be read: {reason}",
        cure="Use the version of auditor that wrote it, or a newer one.",
    )
