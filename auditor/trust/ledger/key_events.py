"""Key events in the ledger (added, rotated, revoked), and the key history that they form.

A key has one role.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from auditor.domain.json import Json, compute_digest, encode_canonical, parse_json
from auditor.errors import LedgerError
from auditor.trust.ledger.events import TIME, LedgerEvent, LedgerEventType

KEYS = "key-"
"""How the ids of key events begin."""


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

    def event(self, at: str) -> tuple[LedgerEvent, bytes]:
        """Return the ledger's event at the time ``at``, and the document that it names."""
        document = self.document()
        name = key_event_id(self.role, self.public)
        return LedgerEvent(
            LedgerEventType.KEY_EVENT, compute_digest(document), at, {}, name
        ), document

    def document(self) -> bytes:
        """Return canonical JSON of what is said, and of nothing that is not."""
        said = {"event": self.change.value, "key": self.public, "role": self.role}
        said |= {name: found for name in _DETAILS if (found := getattr(self, name)) is not None}
        return encode_canonical(said)

    @classmethod
    def parse(cls, document: bytes) -> "KeyEvent":
        """Read a document. Raises ``LedgerError`` where it says what no version writes."""
        try:
            found = _members(parse_json(document))
            event = cls(KeyChange(found.pop("event")), found.pop("role"), found.pop("key"), **found)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _malformed("it is not an event of a key") from None
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


class KeyStatus(StrEnum):
    """What may be said of a key at some time."""

    IN_USE = "in use"
    EXPIRED = "expired"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyEventEntry:
    """A change to a key, at a leaf of the ledger; ``time`` is UTC, RFC 3339, to the second."""

    index: int
    time: str
    told: KeyEvent


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """What the ledger tells of one public key."""

    role: str
    public: str
    begun: KeyEventEntry
    retired: KeyEventEntry | None = None
    revoked: KeyEventEntry | None = None

    @property
    def not_after(self) -> str | None:
        """Until when the key may sign."""
        return self.begun.told.not_after

    @property
    def since(self) -> str | None:
        """Since when the key counts for nothing."""
        return None if self.revoked is None else self.revoked.told.since

    def status(self, at: str) -> KeyStatus:
        """Return what may be said of the key at a time; what is graver comes first."""
        if self.revoked is not None:
            return KeyStatus.REVOKED
        if self.retired is not None:
            return KeyStatus.RETIRED
        expired = self.not_after is not None and at > self.not_after
        return KeyStatus.EXPIRED if expired else KeyStatus.IN_USE

    def words(self, at: str) -> str:
        """Say the status in words, with its time."""
        status = self.status(at)
        if self.revoked is not None:
            return f"revoked since {self.since}: {self.revoked.told.reason}"
        if self.retired is not None:
            return f"retired on {self.retired.time}"
        until = "" if self.not_after is None else f" {'on' if status != 'in use' else 'until'} "
        return f"{status}{until}{self.not_after or ''}"


@dataclass(slots=True)
class KeyRegistry:
    """The lives of all keys, told one event after the other; ``mistakes`` is what cannot be."""

    lives: dict[str, KeyHistory] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def add(self, placed: KeyEventEntry) -> None:
        """Take the next event."""
        told = placed.told
        life = self.lives.get(told.public)
        problem = _contradiction(self.lives, life, told)
        if problem:
            lines = [
                line for line in told.public.split("\n") if line and not line.startswith("-----")
            ]
            name = (lines or [""])[-1][:24]
            self.mistakes.append(f"leaf {placed.index}: the {told.role} key {name} {problem}")
        elif life is None:
            self.lives[told.public] = KeyHistory(told.role, told.public, placed)
        elif told.change is KeyChange.RETIRED:
            self.lives[told.public] = replace(life, retired=placed)
        elif told.change is KeyChange.REVOKED:
            self.lives[told.public] = replace(life, revoked=placed)

    def of_role(self, role: str) -> Mapping[str, KeyHistory]:
        """Return the lives of the keys in a role."""
        return {public: life for public, life in self.lives.items() if life.role == role}


def _contradiction(lives: Mapping[str, KeyHistory], life: KeyHistory | None, told: KeyEvent) -> str:
    """Say why an event cannot follow what was told before; nothing where it can."""
    if life is not None and life.role != told.role:
        return f"is the {life.role} key of leaf {life.begun.index}: a key has one role"
    if told.change is KeyChange.IN_USE:
        if life is not None and (life.retired or life.revoked):
            return "comes into use again after its end"
        if told.replaces is None:
            return ""
        before = lives.get(told.replaces)
        if before is None or before.role != told.role:
            return "follows a key that was never in use in that role"
        ended = before.retired or before.revoked
        return "follows a key that had come to its end" if ended else ""
    if life is None:
        return f"is {told.change} without ever coming into use"
    if told.change is KeyChange.REVOKED:
        return "is revoked a second time" if life.revoked else ""
    if life.retired or life.revoked:
        return "is retired after its end"
    after = lives.get(told.replaced_by or "")
    follows = after is not None and after.begun.told.replaces == told.public
    return "" if follows else "is retired, and the key named after it does not follow it"
