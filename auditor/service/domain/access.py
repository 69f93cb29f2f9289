"""What people and pipelines do to a service, each act with who did it, to what, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.canonical import Json, canonical, digest

OPERATOR = "operator"
"""Who acts where no caller does: whoever may run commands on the service's own machine."""


class ActKind(StrEnum):
    """What was done."""

    PROJECT_MADE = "project_made"
    KEY_MADE = "key_made"
    KEY_ENDED = "key_ended"
    AUDIT_ASKED = "audit_asked"
    AUDIT_CANCELLED = "audit_cancelled"
    SCHEDULE_MADE = "schedule_made"
    SCHEDULE_PAUSED = "schedule_paused"
    SCHEDULE_RESUMED = "schedule_resumed"
    SCHEDULE_ENDED = "schedule_ended"
    HOOK_MADE = "hook_made"
    HOOK_ENDED = "hook_ended"
    PERSON_NAMED = "person_named"
    PERSON_ENDED = "person_ended"
    AGENT_ENROLLED = "agent_enrolled"
    AGENT_ENDED = "agent_ended"
    SEALED_SET_KEPT = "sealed_set_kept"
    SEALED_SET_RELEASED = "sealed_set_released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: by which caller, on what, in which project, and when (UTC).

    ``id`` is public and tells of nobody. ``caller`` is a key's id, ``subject`` who an identity
    provider says the caller is, ``about`` the id or name of the thing. ``detail`` holds no secret.
    """

    id: str
    project: str
    caller: str
    kind: ActKind
    about: str
    at: str
    subject: str | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of all that is said of it, which the ledger holds."""
        return digest(canonical(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        """Return the form that is digested and sent."""
        return {
            "id": self.id,
            "project": self.project,
            "caller": self.caller,
            "subject": self.subject,
            "kind": self.kind.value,
            "about": self.about,
            "at": self.at,
            "detail": dict(self.detail),
        }
