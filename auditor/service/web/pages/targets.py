"""Page of targets: their workers, and the last fingerprint of each."""

from fastapi import Request, Response

from auditor.service.api.auth import Viewer
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown

router = create_page_router()


@router.get("/targets")
def show_targets(request: Request, caller: Viewer, site: Shown) -> Response:
    """Show every target of the service."""
    desk = site.service.desk
    told = {one.target: one for one in site.latest.last_of_targets(caller.project)}
    facts = site.facts.of({one.record for one in told.values()}, site.latest.bodies)
    return render_page(request, "targets", title="Targets", specs=list(desk.targets.values()),
                       live=desk.live(), seen=told, facts=facts)  # fmt: skip


ENTRY = PageEntry("/targets", router, title="Targets", order=50)
