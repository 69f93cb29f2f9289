"""Two audits side by side: their figures are recomputed from the evidence that is kept."""

from typing import Annotated

from fastapi import Query, Request, Response

from auditor.api.admitting import Viewer
from auditor.api.reading import AUDIT
from auditor.domain.submissions import State
from auditor.store.service.overviews import Sought
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes

MOST = 200
Side = Annotated[str, Query(pattern=f"({AUDIT})|(^$)")]
router = routes()


@router.get("/compare")
def compare(
    request: Request, caller: Viewer, site: Shown, left: Side = "", right: Side = ""
) -> Response:
    """Compare two audits, or ask which."""
    asked = bool(left and right)
    told = site.comparisons.of(site.service, caller, left, right) if asked else {}
    lines, _ = site.overviews.audits(
        Sought(project=caller.project, states=(State.DONE,), limit=MOST)
    )
    return show(request, "compare", told, title="Compare", lines=lines, left=left, right=right,
                compared=asked)  # fmt: skip


ENTRY = Entry("/compare", router, title="Compare", order=40)
