"""What a policy has from others: which they are, and what it changed of what they ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.canonical import Json


class Way(StrEnum):
    """In which direction a change goes; what cannot be shown to tighten counts as loosened."""

    TIGHTENED = "tightened"
    LOOSENED = "loosened"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that comes out otherwise than in the policy that it is inherited from.

    ``by`` is the policy that changed it, ``reason`` why it may be looser; empty where it is not.
    """

    setting: str
    was: str
    now: str
    way: Way
    by: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the form that a resolved policy keeps."""
        return {
            "setting": self.setting,
            "was": self.was,
            "now": self.now,
            "way": self.way.value,
            "by": self.by,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        """Say the setting with what it was and what it is."""
        return f"{self.setting}: {self.was or 'nothing'} → {self.now or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The policy that a rule was first written in, and what others changed of it since."""

    policy: str
    version: str
    changes: tuple[Change, ...] = ()

    @property
    def loosened(self) -> tuple[Change, ...]:
        """The changes by which the rule asks less than where it is inherited from."""
        return tuple(item for item in self.changes if item.way is Way.LOOSENED)

    def to_json(self) -> dict[str, Json]:
        """Return the form that a resolved policy keeps."""
        return {
            "policy": self.policy,
            "version": self.version,
            "changes": [item.to_json() for item in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Parent:
    """A policy that another extends, under the digest that it had then."""

    name: str
    version: str
    digest: str
    changes: tuple[Change, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the form that a resolved policy keeps."""
        return {
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "changes": [item.to_json() for item in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Dropped:
    """A rule of a parent that a policy does not ask, and why."""

    rule: str
    title: str
    policy: str
    by: str
    reason: str

    def to_json(self) -> Mapping[str, Json]:
        """Return the form that a resolved policy keeps."""
        return {
            "rule": self.rule,
            "title": self.title,
            "policy": self.policy,
            "by": self.by,
            "reason": self.reason,
        }
