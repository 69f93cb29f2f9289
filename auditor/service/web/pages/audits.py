"""Audits: all of them, and each as it runs and as it ended."""

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from auditor.api.admitting import Submitter, Viewer
from auditor.api.reading import AUDIT, AuditId
from auditor.api.routes.files import REPORT, File, files_of, sent_of
from auditor.api.showing import audit_of
from auditor.domain.submissions import ENDED, State
from auditor.domain.verdicts import Verdict
from auditor.folders import EVIDENCE
from auditor.store.service.courses import last_number
from auditor.store.service.overviews import Sought
from auditor.submitting import cancel
from auditor.web.audit import audit_told, told_of
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes
from auditor.web.words import STATES, VERDICTS

SEE_OTHER, NOTHING_NEW = 303, 204
PAGE = 50
router = routes()
Chosen = Annotated[str, Query(max_length=200)]


@router.get("/audits")
def listed(
    request: Request, caller: Viewer, site: Shown, state: Chosen = "", verdict: Chosen = "",
    model: Chosen = "", cursor: Annotated[str, Query(pattern=f"({AUDIT})|(^$)")] = "",
) -> Response:  # fmt: skip
    """List the project's audits, the newest first."""
    sought = Sought(
        project=caller.project,
        states=(State(state),) if state in set(State) else (),
        verdict=verdict if verdict in set(Verdict) else None,
        model=model.replace("\0", "") or None,
        cursor=cursor or None,
        limit=PAGE,
    )
    lines, following = site.overviews.audits(sought)
    return show(request, "audits", title="Audits", lines=lines, following=following,
                states=STATES, verdicts=VERDICTS, models=sorted({line.model for line in lines}),
                state=state, verdict=verdict, model=model, cursor=cursor,
                changing=any(line.state not in ENDED for line in lines))  # fmt: skip


@router.get("/audits/{audit}")
def look(
    request: Request, audit: AuditId, caller: Viewer, site: Shown, look: Chosen = ""
) -> Response:
    """Look at an audit."""
    return show(request, "audit", audit_told(site, caller, audit, look=look == "yes"))


@router.get("/audits/{audit}/live")
def live(
    request: Request, audit: AuditId, caller: Viewer, site: Shown,
    seen: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:  # fmt: skip
    """Send the part of an audit's page that changes; nothing, where nothing happened since."""
    found = audit_of(site.service, caller, audit)
    if last_number(site.service.kept, found.id) == seen:
        return Response(status_code=NOTHING_NEW)
    return show(request, "audit_live", told_of(site, caller, found))


@router.get("/audits/{audit}/cancel")
def ask(request: Request, audit: AuditId, caller: Submitter, site: Shown) -> Response:
    """Ask whether an audit is really to be cancelled."""
    return show(request, "cancel", audit_told(site, caller, audit), title="Cancel an audit")


@router.post("/audits/{audit}/cancel")
def stop(audit: AuditId, caller: Submitter, site: Shown) -> Response:
    """Stop an audit before its next check."""
    cancel(site.service.desk, caller, audit_of(site.service, caller, audit))
    return RedirectResponse(f"/audits/{audit}", SEE_OTHER)


@router.get("/audits/{audit}/files")
def files(request: Request, audit: AuditId, caller: Viewer, site: Shown) -> Response:
    """List every file of an audit's folder."""
    found = files_of(site.service, caller, audit)
    beside = f"{EVIDENCE}/"
    return show(request, "files", title="Files of an audit", base=f"/audits/{audit}",
                audit=audit,
                files={n: d for n, d in found.items() if not n.startswith(beside)},
                evidence=[name for name in found if name.startswith(beside)])  # fmt: skip


@router.get("/audits/{audit}/files/{name:path}")
def file(request: Request, audit: AuditId, name: File, caller: Viewer, site: Shown) -> Response:
    """Send a file of an audit's folder, as the API does."""
    return sent_of(request, site.service, caller, audit, name)


@router.get("/audits/{audit}/report")
def report(request: Request, audit: AuditId, caller: Viewer, site: Shown) -> Response:
    """Open the report, sealed off from these pages as the API sends it."""
    return sent_of(request, site.service, caller, audit, REPORT)


ENTRY = Entry("/audits", router, title="Audits", order=20)
