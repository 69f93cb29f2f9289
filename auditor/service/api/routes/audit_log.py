"""The audit log of a project's callers, for its admins."""

from typing import Annotated

from fastapi import APIRouter, Query

from auditor.service.api.auth import Admin
from auditor.service.api.context import Served
from auditor.service.api.requests import Limit
from auditor.service.api.schemas import AuditLogEntryResponse, AuditLogPage
from auditor.service.domain.access import AuditLogEntry
from auditor.service.store.projects import AuditLogStore

CURSOR = r"^act-[0-9a-f]{24}$"
router = APIRouter(prefix="/v1/acts", tags=["acts"])


@router.get("")
def list_audit_log(
    caller: Admin, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
) -> AuditLogPage:  # fmt: skip
    """List the audit log of the project, newest first. Each entry has a leaf in the ledger."""
    found, following = AuditLogStore(service.store).listed(caller.project, cursor, limit)
    return AuditLogPage(acts=[_shown(act) for act in found], next=following)


def _shown(act: AuditLogEntry) -> AuditLogEntryResponse:
    return AuditLogEntryResponse.model_validate({**act.to_json(), "digest": act.digest})
