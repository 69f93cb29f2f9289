"""A person's own signing key, which is made in the browser and stays there."""

from fastapi import Request, Response

from auditor.api.admitting import Approver
from auditor.web.deciding import holder
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown, Visit
from auditor.web.routing import routes

router = routes()


@router.get("/signing")
def key(request: Request, caller: Approver, visit: Visit) -> Response:
    """Show this browser's key, or make one."""
    return show(request, "signing", title="Your signing key", origin=visit.origin, known=None)


@router.post("/signing")
def whose(request: Request, caller: Approver, visit: Visit, site: Shown) -> Response:
    """Say who has the key of this browser, as far as the project knows."""
    panel = site.service.people
    known = holder(panel, caller.project, form_of(request).get("key", ""))
    return show(request, "signing", title="Your signing key", origin=visit.origin, known=known)


ENTRY = Entry("/signing", router)
