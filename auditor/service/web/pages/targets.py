"""Targets: who works for each now, and what each turned out to be when it was last seen."""

from fastapi import Request, Response

from auditor.api.admitting import Viewer
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes

router = routes()


@router.get("/targets")
def listed(request: Request, caller: Viewer, site: Shown) -> Response:
    """Show every target of the service."""
    desk = site.service.desk
    told = {one.target: one for one in site.latest.last_of_targets(caller.project)}
    facts = site.facts.of({one.record for one in told.values()}, site.latest.bodies)
    return show(request, "targets", title="Targets", specs=list(desk.targets.values()),
                live=desk.live(), seen=told, facts=facts)  # fmt: skip


ENTRY = Entry("/targets", router, title="Targets", order=50)
