"""The audit log, for admins: who did what in the project; each entry has a leaf in the ledger."""

from typing import Annotated

from fastapi import Query, Request, Response

from auditor.service.api.auth import Admin
from auditor.service.api.routes.audit_log import CURSOR
from auditor.service.domain.access import AccessRole
from auditor.service.store.projects import AuditLogStore
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown

PAGE = 50
router = create_page_router()


@router.get("/acts")
def show_audit_log(
    request: Request, caller: Admin, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({CURSOR})|(^$)")] = "",
) -> Response:  # fmt: skip
    """List who did what, the newest first."""
    service = site.service
    acts, following = AuditLogStore(service.store).listed(caller.project, cursor or None, PAGE)
    names = {key.id: key.name for key in service.kept.keys(caller.project)}
    return render_page(
        request, "acts", title="Audit log", acts=acts, names=names, following=following
    )


ENTRY = PageEntry(
    "/acts", router, title="Audit log", order=94, least=AccessRole.ADMIN, group="Admin"
)
