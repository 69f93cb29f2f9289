"""Home page: audits that need attention, or instructions before the first audit."""

from collections.abc import Sequence

from fastapi import Request, Response

from auditor.service.api.auth import Viewer
from auditor.service.domain.submissions import SubmissionState
from auditor.service.gate import GateState, list_gate_states
from auditor.service.store.audit_queries import AuditQuery
from auditor.service.store.trends import TrendStore
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown, Visit

OPEN = (SubmissionState.RUNNING, SubmissionState.QUEUED, SubmissionState.WAITING)
MOST, FEW = 50, 10
router = create_page_router()


@router.get("/")
def show_attention(request: Request, caller: Viewer, visit: Visit, site: Shown) -> Response:
    """Show what needs attention."""
    project, overviews = caller.project, site.overviews
    if not overviews.any_audit(project):
        return render_page(request, "start", title="Submit an audit", origin=visit.origin)
    desk = site.service.desk
    live = desk.live()
    now, more = overviews.audits(AuditQuery(project=project, states=OPEN, limit=MOST))
    done, _ = overviews.audits(
        AuditQuery(project=project, states=(SubmissionState.DONE,), limit=FEW)
    )
    troubled = overviews.troubled(project, MOST)
    # The gates that are shut for the newest version of each of some models
    models = tuple(dict.fromkeys(line.model for line in done))
    gates: Sequence[tuple[str, GateState]]
    if not models:
        gates = ()
    else:
        newest = TrendStore(site.service.store).versions(project, models, 1)
        names = {(it.artifact, it.target): it.model for it in newest if it.artifact}
        found = list_gate_states(site.service.gatekeeper, project, tuple(names))
        gates = [(names[pair], it) for pair, told in found.items() for it in told if not it.open]
    # Say of each audit in a sentence why its gate is shut
    records = [line.record for line in troubled if line.record]
    facts = site.facts.of(records, site.latest.bodies)
    return render_page(
        request,
        "home",
        title="Overview",
        now=now,
        more=more,
        troubled=troubled,
        why={
            line.id: facts[line.record].because if line.record in facts else line.problem
            for line in troubled
        },
        gates=gates,
        dead=[spec for spec in desk.targets.values() if spec.name not in live],
        done=done,
    )


ENTRY = PageEntry("/", router, title="Overview", order=10)
