"""The trust policy that an audit was given, and its status in the store at that time."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.json import Json, JsonObject, JsonPart, read_fields, write_fields


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

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class ModelBinding:
    """A model's name and version, and the artifact that was registered first under them."""

    name: str
    version: str
    digest: str
    registered: str

    to_json = write_fields


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
        said = write_fields(self)
        return {"policy": said.pop("document"), **said}

    @classmethod
    def from_json(cls, found: Json, place: str) -> "TrustContext":
        """Read it from its evidence form. Raises ``RecordError``."""
        part = JsonPart(found, place)
        return read_fields(cls, part, document=part.mapping("policy"))


@dataclass(frozen=True, slots=True)
class StoredTrustState:
    """What a store knows of an audit: what binds its model, and how its trust policy stands."""

    bindings: tuple[ModelBinding, ...] = ()
    standing: TrustPolicyStatus = TrustPolicyStatus.UNKNOWN

    to_json = write_fields
