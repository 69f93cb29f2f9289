"""The lives of keys, as the events of a ledger tell them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from auditor.ledgers.key_events import KeyChange, KeyEvent


class KeyStatus(StrEnum):
    """What may be said of a key at some time."""

    IN_USE = "in use"
    EXPIRED = "expired"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Placed:
    """A change to a key, at a leaf of the ledger; ``time`` is UTC, RFC 3339, to the second."""

    index: int
    time: str
    told: KeyEvent


@dataclass(frozen=True, slots=True)
class KeyLife:
    """What the ledger tells of one public key."""

    role: str
    public: str
    begun: Placed
    retired: Placed | None = None
    revoked: Placed | None = None

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
class KeyBook:
    """The lives of all keys, told one event after the other; ``mistakes`` is what cannot be."""

    lives: dict[str, KeyLife] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def add(self, placed: Placed) -> None:
        """Take the next event."""
        told = placed.told
        life = self.lives.get(told.public)
        problem = _contradiction(self.lives, life, told)
        if problem:
            name = _short(told.public)
            self.mistakes.append(f"leaf {placed.index}: the {told.role} key {name} {problem}")
        elif life is None:
            self.lives[told.public] = KeyLife(told.role, told.public, placed)
        elif told.change is KeyChange.RETIRED:
            self.lives[told.public] = replace(life, retired=placed)
        elif told.change is KeyChange.REVOKED:
            self.lives[told.public] = replace(life, revoked=placed)

    def of_role(self, role: str) -> Mapping[str, KeyLife]:
        """Return the lives of the keys in a role."""
        return {public: life for public, life in self.lives.items() if life.role == role}


def _contradiction(lives: Mapping[str, KeyLife], life: KeyLife | None, told: KeyEvent) -> str:
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


def _short(public: str) -> str:
    """Return the line of a public key that tells it from others, cut short."""
    lines = [line for line in public.split("\n") if line and not line.startswith("-----")]
    return (lines or [""])[-1][:24]
