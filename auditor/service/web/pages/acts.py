"""Acts, for admins: who did what in the project; each has a leaf in the ledger."""

from typing import Annotated

from fastapi import Query, Request, Response

from auditor.api.admitting import Admin
from auditor.api.routes.acts import CURSOR
from auditor.domain.api_keys import Role
from auditor.store.service.acts import Acts
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes

PAGE = 50
router = routes()


@router.get("/acts")
def listed(
    request: Request, caller: Admin, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({CURSOR})|(^$)")] = "",
) -> Response:  # fmt: skip
    """List who did what, the newest first."""
    service = site.service
    acts, following = Acts(service.store).listed(caller.project, cursor or None, PAGE)
    names = {key.id: key.name for key in service.kept.keys(caller.project)}
    return show(request, "acts", title="Acts", acts=acts, names=names, following=following)


ENTRY = Entry("/acts", router, title="Acts", order=94, least=Role.ADMIN, group="Admin")
