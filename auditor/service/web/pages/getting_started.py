"""Page of instructions to submit an audit, with this service's own address."""

from fastapi import Request, Response

from auditor.service.api.auth import Viewer
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Visit

router = create_page_router()


@router.get("/start")
def show_instructions(request: Request, caller: Viewer, visit: Visit) -> Response:
    """Show how to hand an audit in."""
    return render_page(request, "start", title="Submit an audit", origin=visit.origin)


ENTRY = PageEntry("/start", router, title="Submit", order=80)
