"""Page that compares two audits; their figures are recomputed from the stored evidence."""

from typing import Annotated

from fastapi import Query, Request, Response

from auditor.service.api.auth import Viewer
from auditor.service.api.requests import AUDIT
from auditor.service.domain.submissions import SubmissionState
from auditor.service.store.audit_queries import AuditQuery
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown

MOST = 200
Side = Annotated[str, Query(pattern=f"({AUDIT})|(^$)")]
router = create_page_router()


@router.get("/compare")
def compare_audits(
    request: Request, caller: Viewer, site: Shown, left: Side = "", right: Side = ""
) -> Response:
    """Compare two audits, or ask which."""
    asked = bool(left and right)
    told = site.comparisons.of(site.service, caller, left, right) if asked else {}
    lines, _ = site.overviews.audits(
        AuditQuery(project=caller.project, states=(SubmissionState.DONE,), limit=MOST)
    )
    return render_page(request, "compare", told, title="Compare", lines=lines, left=left,
                       right=right, compared=asked)  # fmt: skip


ENTRY = PageEntry("/compare", router, title="Compare", order=40)
