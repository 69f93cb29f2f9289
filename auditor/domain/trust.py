"""What an audit was given of a trust policy, and what the store knew when it was looked at."""

from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from auditor.domain.json import Json, JsonObject


class TrustPolicyStatus(StrEnum):
    """How a trust policy stands to those of its name that were accepted before on this machine.

    ``UNKNOWN``: none was. ``NEWER``, ``OLDER``: another version was accepted last. ``CHANGED``: its
    version was accepted with another content.
    """

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    NEWER = "newer"
    OLDER = "older"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class TrustRef:
    """A trust policy by name, version and the digest of its document."""

    name: str
    version: int
    digest: str

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {"name": self.name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class ModelBinding:
    """A model's name and version, and the artifact that was registered first under them."""

    name: str
    version: str
    digest: str
    registered: str

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "registered": self.registered,
        }


def read_model_binding(said: JsonObject) -> ModelBinding:
    """Return a binding from its evidence form."""
    told = cast("dict[str, str]", said)
    return ModelBinding(told["name"], told["version"], told["digest"], told["registered"])


@dataclass(frozen=True, slots=True)
class TrustContext:
    """A trust policy as an audit names it: its document, and when and how it was looked at.

    ``moment`` (UTC, RFC 3339) is when keys and certificates had to be valid; without one nobody is
    trusted. ``tags`` are those that the audit file gives the model.
    """

    document: JsonObject
    moment: str | None = None
    standing: TrustPolicyStatus = TrustPolicyStatus.UNKNOWN
    tags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {
            "policy": dict(self.document),
            "moment": self.moment,
            "standing": self.standing.value,
            "tags": list(self.tags),
        }


def read_trust_context(said: JsonObject) -> TrustContext:
    """Return what was given from its evidence form."""
    policy = cast("JsonObject", said["policy"])
    moment = cast("str | None", said["moment"])
    tags = tuple(cast("list[str]", said["tags"]))
    return TrustContext(policy, moment, TrustPolicyStatus(str(said["standing"])), tags)


@dataclass(frozen=True, slots=True)
class StoredTrustState:
    """What a store knows of an audit: what binds its model, and how its trust policy stands."""

    bindings: tuple[ModelBinding, ...] = ()
    standing: TrustPolicyStatus = TrustPolicyStatus.UNKNOWN

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        return {
            "bindings": [item.to_json() for item in self.bindings],
            "standing": self.standing.value,
        }


def read_trust_state(said: JsonObject) -> StoredTrustState:
    """Return what is remembered from the form that is sent."""
    told = cast("list[JsonObject]", said["bindings"])
    return StoredTrustState(
        tuple(map(read_model_binding, told)), TrustPolicyStatus(str(said["standing"]))
    )
