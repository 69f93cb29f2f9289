"""How to hand an audit in: from a pipeline, or by hand, with this service's own address."""

from fastapi import Request, Response

from auditor.api.admitting import Viewer
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Visit
from auditor.web.routing import routes

router = routes()


@router.get("/start")
def how(request: Request, caller: Viewer, visit: Visit) -> Response:
    """Show how to hand an audit in."""
    return show(request, "start", title="Hand in an audit", origin=visit.origin)


ENTRY = Entry("/start", router, title="Hand in", order=80)
