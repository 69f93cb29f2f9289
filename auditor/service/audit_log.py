"""Says who did what to a service, for the ledger to hold."""

import secrets

from auditor.domain.json import Json
from auditor.service.domain.access import OPERATOR, ApiKey, AuditLogAction, AuditLogEntry

NAMED = 12


def build_log_entry(
    caller: ApiKey, kind: AuditLogAction, about: str, at: str, **detail: Json
) -> AuditLogEntry:
    """Return what a caller does at the time ``at`` (UTC) in its own project."""
    return AuditLogEntry(
        id=_name(),
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
        id=_name(),
        project=project,
        caller=OPERATOR,
        kind=kind,
        about=about,
        at=at,
        detail=detail,
    )


def _name() -> str:
    return f"act-{secrets.token_hex(NAMED)}"
