"""Page of a person's own signing key, which is made in the browser and stays there."""

from fastapi import Request, Response

from auditor.service.api.auth import Approver
from auditor.service.web.decisions import find_key_holder
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown, Visit

router = create_page_router()


@router.get("/signing")
def show_signing_key(request: Request, caller: Approver, visit: Visit) -> Response:
    """Show this browser's key, or make one."""
    return render_page(
        request, "signing", title="Your signing key", origin=visit.origin, known=None
    )


@router.post("/signing")
def show_key_holder(request: Request, caller: Approver, visit: Visit, site: Shown) -> Response:
    """Say who has the key of this browser, as far as the project knows."""
    panel = site.service.people
    known = find_key_holder(panel, caller.project, get_form(request).get("key", ""))
    return render_page(
        request, "signing", title="Your signing key", origin=visit.origin, known=known
    )


ENTRY = PageEntry("/signing", router)
