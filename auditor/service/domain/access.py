"""API keys and roles, audit log entries, and usage limits of the service."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from auditor.domain.json import Json, compute_digest, encode_canonical, write_fields
from auditor.domain.waivers import parse_waiver_time
from auditor.errors import UsageError

MOST_UPLOAD_BYTES = 20 * 2**30
"""The size of an uploaded file that a service takes if its start names no other."""
OPERATOR = "operator"
"""The actor where no caller is known: a user who runs commands on the machine of the service."""


class AuditLogAction(StrEnum):
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
class AuditLogEntry:
    """One act: by which caller, on what, in which project, and when (UTC).

    ``id`` is public and tells of nobody. ``caller`` is a key's id, ``subject`` who an identity
    provider says the caller is, ``about`` the id or name of the thing. ``detail`` holds no secret.
    """

    id: str
    project: str
    caller: str
    kind: AuditLogAction
    about: str
    at: str
    subject: str | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of all that is said of it, which the ledger holds."""
        return compute_digest(encode_canonical(self.to_json()))

    to_json = write_fields


SIGN_ON = "oidc-"
"""How the ids begin of callers that an identity provider vouches for; no key has such a one."""


class AccessRole(StrEnum):
    """What a caller may do, the least first; each may do all that those before it may.

    An agent stands apart: it may do what agents do, which nobody else may, and nothing more.
    """

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    APPROVER = "approver"
    ADMIN = "admin"
    AGENT = "agent"

    def may(self, least: "AccessRole") -> bool:
        """Whether this role is at least ``least``."""
        if AccessRole.AGENT in {self, least}:
            return self is least
        order = list(AccessRole)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A caller's key in one project; of its secret only the SHA-256 (hexadecimal) is kept.

    ``ended`` is when somebody ended it, ``expires`` when it ends by itself. A caller that an
    identity provider vouches for is one as well: it has no secret, and ``subject`` says who it is.
    """

    id: str
    project: str
    role: AccessRole
    name: str
    secret_hash: str
    created: str
    expires: str | None = None
    ended: str | None = None
    subject: str | None = None

    def holds(self, now: str) -> bool:
        """Whether it may be used at the time ``now``; a time that cannot be read is over."""
        if self.ended is not None:
            return False
        if self.expires is None:
            return True
        ends, asked = parse_waiver_time(self.expires), parse_waiver_time(now)
        return ends is not None and asked is not None and asked < ends


GIB = 2**30
IN_GIB = frozenset({"upload", "stored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """The most that is given; 0 of anything is as much as anybody asks for.

    ``reads`` and ``writes`` are calls of a caller a minute, ``upload`` a caller's bytes an hour,
    ``failures`` the calls a minute without a key that holds from one address. Of a project,
    ``stored`` are the bytes of its uploads, and ``waiting`` its audits that have not ended.
    ``keys`` are the days that a new key may hold.
    """

    reads: int = 6000
    writes: int = 600
    upload: int = 200 * GIB
    failures: int = 100
    stored: int = 1000 * GIB
    waiting: int = 1000
    keys: int = 366


def parse_service_limits(said: tuple[str, ...]) -> ServiceLimits:
    """Read ``NAME=N`` texts over the usual ones; bytes are given in GiB. Raises ``UsageError``."""
    names = [item.name for item in fields(ServiceLimits)]
    found = {}
    for text in said:
        name, _, number = text.partition("=")
        if name not in names or not (number.isascii() and number.isdecimal() and len(number) < 10):  # noqa: PLR2004 -- digits
            raise UsageError(
                f"{text[:80]!r} is not a limit",
                cure=f"Write NAME=N with a whole number N and one of {', '.join(names)}.",
            )
        found[name] = int(number) * (GIB if name in IN_GIB else 1)
    return replace(ServiceLimits(), **found)


def build_log_entry(
    caller: ApiKey, kind: AuditLogAction, about: str, at: str, **detail: Json
) -> AuditLogEntry:
    """Return what a caller does at the time ``at`` (UTC) in its own project."""
    return AuditLogEntry(
        id=f"act-{secrets.token_hex(12)}",
        project=caller.project,
        caller=caller.id,
        subject=caller.subject,
        kind=kind,
        about=about,
        at=at,
        detail=detail,
    )


def build_operator_log_entry(
    project: str, kind: AuditLogAction, about: str, at: str, **detail: Json
) -> AuditLogEntry:
    """Return what whoever runs the service does to a project at the time ``at`` (UTC)."""
    return AuditLogEntry(
        id=f"act-{secrets.token_hex(12)}",
        project=project,
        caller=OPERATOR,
        kind=kind,
        about=about,
        at=at,
        detail=detail,
    )
