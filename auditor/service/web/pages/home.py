"""What needs attention; and, before anything was handed in, how to hand something in."""

from collections.abc import Mapping, Sequence

from fastapi import Request, Response

from auditor.api.admitting import Viewer
from auditor.domain.submissions import State
from auditor.states import GateState, states
from auditor.store.service.overviews import Line, Sought
from auditor.store.service.trends import KeptTrends
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown, Site, Visit
from auditor.web.routing import routes

OPEN = (State.RUNNING, State.QUEUED, State.WAITING)
MOST, FEW = 50, 10
router = routes()


@router.get("/")
def attention(request: Request, caller: Viewer, visit: Visit, site: Shown) -> Response:
    """Show what needs attention."""
    project, overviews = caller.project, site.overviews
    if not overviews.any_audit(project):
        return show(request, "start", title="Hand in an audit", origin=visit.origin)
    desk = site.service.desk
    live = desk.live()
    now, more = overviews.audits(Sought(project=project, states=OPEN, limit=MOST))
    done, _ = overviews.audits(Sought(project=project, states=(State.DONE,), limit=FEW))
    troubled = overviews.troubled(project, MOST)
    gates = _gates(site, project, tuple(dict.fromkeys(line.model for line in done)))
    return show(
        request,
        "home",
        title="Overview",
        now=now,
        more=more,
        troubled=troubled,
        why=_why(site, troubled),
        gates=gates,
        dead=[spec for spec in desk.targets.values() if spec.name not in live],
        done=done,
    )


def _why(site: Site, troubled: Sequence[Line]) -> Mapping[str, str]:
    """Say of each audit in a sentence why its gate is shut."""
    records = [line.record for line in troubled if line.record]
    facts = site.facts.of(records, site.latest.bodies)
    return {
        line.id: facts[line.record].because if line.record in facts else line.problem
        for line in troubled
    }


def _gates(site: Site, project: str, models: tuple[str, ...]) -> Sequence[tuple[str, GateState]]:
    """Return the gates that are shut for the newest version of each of some models."""
    if not models:
        return ()
    newest = KeptTrends(site.service.store).versions(project, models, 1)
    names = {(it.artifact, it.target): it.model for it in newest if it.artifact}
    found = states(site.service.gatekeeper, project, tuple(names))
    return [(names[pair], it) for pair, told in found.items() for it in told if not it.open]


ENTRY = Entry("/", router, title="Overview", order=10)
