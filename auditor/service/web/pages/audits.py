"""Pages of audits: the list, and each while it runs and after it ended."""

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from auditor.domain.findings import Verdict
from auditor.reports.folder import EVIDENCE
from auditor.service.api.auth import Submitter, Viewer
from auditor.service.api.requests import AUDIT, AuditId, find_audit
from auditor.service.api.routes.result_files import REPORT, File, find_audit_files, send_audit_file
from auditor.service.domain.submissions import ENDED, SubmissionState
from auditor.service.jobs.submit import cancel_submission
from auditor.service.store.audit_queries import AuditQuery, find_last_event_number
from auditor.service.web.audit import build_audit_context, build_audit_page
from auditor.service.web.badges import STATES, VERDICTS
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown

SEE_OTHER, NOTHING_NEW = 303, 204
PAGE = 50
router = create_page_router()
Chosen = Annotated[str, Query(max_length=200)]


@router.get("/audits")
def show_audits(
    request: Request, caller: Viewer, site: Shown, state: Chosen = "", verdict: Chosen = "",
    model: Chosen = "", cursor: Annotated[str, Query(pattern=f"({AUDIT})|(^$)")] = "",
) -> Response:  # fmt: skip
    """List the project's audits, the newest first."""
    sought = AuditQuery(
        project=caller.project,
        states=(SubmissionState(state),) if state in set(SubmissionState) else (),
        verdict=verdict if verdict in set(Verdict) else None,
        model=model.replace("\0", "") or None,
        cursor=cursor or None,
        limit=PAGE,
    )
    lines, following = site.overviews.audits(sought)
    return render_page(request, "audits", title="Audits", lines=lines, following=following,
                       states=STATES, verdicts=VERDICTS,
                       models=sorted({line.model for line in lines}), state=state, verdict=verdict,
                       model=model, cursor=cursor,
                       changing=any(line.state not in ENDED for line in lines))  # fmt: skip


@router.get("/audits/{audit}")
def show_audit(
    request: Request, audit: AuditId, caller: Viewer, site: Shown, look: Chosen = ""
) -> Response:
    """Look at an audit."""
    return render_page(request, "audit", build_audit_page(site, caller, audit, look=look == "yes"))


@router.get("/audits/{audit}/live")
def show_live_part(
    request: Request, audit: AuditId, caller: Viewer, site: Shown,
    seen: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:  # fmt: skip
    """Send the part of an audit's page that changes; nothing, where nothing happened since."""
    found = find_audit(site.service, caller, audit)
    if find_last_event_number(site.service.kept, found.id) == seen:
        return Response(status_code=NOTHING_NEW)
    return render_page(request, "audit_live", build_audit_context(site, caller, found))


@router.get("/audits/{audit}/cancel")
def confirm_cancellation(
    request: Request, audit: AuditId, caller: Submitter, site: Shown
) -> Response:
    """Ask whether an audit is really to be cancelled."""
    return render_page(
        request, "cancel", build_audit_page(site, caller, audit), title="Cancel an audit"
    )


@router.post("/audits/{audit}/cancel")
def cancel_audit(audit: AuditId, caller: Submitter, site: Shown) -> Response:
    """Stop an audit before its next check."""
    cancel_submission(site.service.desk, caller, find_audit(site.service, caller, audit))
    return RedirectResponse(f"/audits/{audit}", SEE_OTHER)


@router.get("/audits/{audit}/files")
def show_files(request: Request, audit: AuditId, caller: Viewer, site: Shown) -> Response:
    """List every file of an audit's folder."""
    found = find_audit_files(site.service, caller, audit)
    beside = f"{EVIDENCE}/"
    return render_page(request, "files", title="Files of an audit", base=f"/audits/{audit}",
                       audit=audit,
                       files={n: d for n, d in found.items() if not n.startswith(beside)},
                       evidence=[name for name in found if name.startswith(beside)])  # fmt: skip


@router.get("/audits/{audit}/files/{name:path}")
def send_file(
    request: Request, audit: AuditId, name: File, caller: Viewer, site: Shown
) -> Response:
    """Send a file of an audit's folder, as the API does."""
    return send_audit_file(request, site.service, caller, audit, name)


@router.get("/audits/{audit}/report")
def show_report(request: Request, audit: AuditId, caller: Viewer, site: Shown) -> Response:
    """Open the report, sealed off from these pages as the API sends it."""
    return send_audit_file(request, site.service, caller, audit, REPORT)


ENTRY = PageEntry("/audits", router, title="Audits", order=20)
