"""Pages of records by their digests: links to the audit, the report and the files."""

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from auditor.reports.folder import EVIDENCE
from auditor.reports.manifest import build_manifest
from auditor.service.api.auth import Viewer
from auditor.service.api.requests import DigestPath
from auditor.service.api.routes.records import get_record_file
from auditor.service.api.routes.result_files import REPORT, File
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown

SEE_OTHER = 303
router = create_page_router()


@router.get("/records/{digest}")
def redirect_to_audit(digest: DigestPath, caller: Viewer, site: Shown) -> Response:
    """Lead to the audit of a record."""
    kept = site.service.people.record(caller.project, digest)
    return RedirectResponse(f"/audits/{kept.submission}", SEE_OTHER)


@router.get("/records/{digest}/files")
def show_files(request: Request, digest: DigestPath, caller: Viewer, site: Shown) -> Response:
    """List every file of a record's folder."""
    kept = site.service.people.record(caller.project, digest)
    found = build_manifest(site.service.store.blobs, kept.files)
    beside = f"{EVIDENCE}/"
    return render_page(request, "files", title="Files of a record", base=f"/records/{digest}",
                       audit=kept.submission,
                       files={n: d for n, d in found.items() if not n.startswith(beside)},
                       evidence=[name for name in found if name.startswith(beside)])  # fmt: skip


@router.get("/records/{digest}/files/{name:path}")
def send_file(
    request: Request, digest: DigestPath, name: File, caller: Viewer, site: Shown
) -> Response:
    """Send a file of a record's folder, as the API does."""
    return get_record_file(request, digest, name, caller, site.service)


@router.get("/records/{digest}/report")
def show_report(request: Request, digest: DigestPath, caller: Viewer, site: Shown) -> Response:
    """Open the report of a record, sealed off from these pages."""
    return get_record_file(request, digest, REPORT, caller, site.service)


ENTRY = PageEntry("/records", router)
