"""Says who did what to a service, for the ledger to hold."""

import secrets

from auditor.domain.acts import OPERATOR, Act, ActKind
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import Json

NAMED = 12


def act_by(caller: ApiKey, kind: ActKind, about: str, at: str, **detail: Json) -> Act:
    """Return what a caller does at the time ``at`` (UTC) in its own project."""
    return Act(
        id=_name(),
        project=caller.project,
        caller=caller.id,
        subject=caller.subject,
        kind=kind,
        about=about,
        at=at,
        detail=detail,
    )


def act_of_operator(project: str, kind: ActKind, about: str, at: str, **detail: Json) -> Act:
    """Return what whoever runs the service does to a project at the time ``at`` (UTC)."""
    return Act(
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
