"""Records by their digests: each leads to its audit, and has its own report and files."""

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from auditor.api.admitting import Viewer
from auditor.api.reading import Digest
from auditor.api.routes.files import REPORT, File
from auditor.api.routes.records import file as sent
from auditor.folders import EVIDENCE
from auditor.manifests import manifest
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes

SEE_OTHER = 303
router = routes()


@router.get("/records/{digest}")
def look(digest: Digest, caller: Viewer, site: Shown) -> Response:
    """Lead to the audit of a record."""
    kept = site.service.people.record(caller.project, digest)
    return RedirectResponse(f"/audits/{kept.submission}", SEE_OTHER)


@router.get("/records/{digest}/files")
def files(request: Request, digest: Digest, caller: Viewer, site: Shown) -> Response:
    """List every file of a record's folder."""
    kept = site.service.people.record(caller.project, digest)
    found = manifest(site.service.store.blobs, kept.files)
    beside = f"{EVIDENCE}/"
    return show(request, "files", title="Files of a record", base=f"/records/{digest}",
                audit=kept.submission,
                files={n: d for n, d in found.items() if not n.startswith(beside)},
                evidence=[name for name in found if name.startswith(beside)])  # fmt: skip


@router.get("/records/{digest}/files/{name:path}")
def file(request: Request, digest: Digest, name: File, caller: Viewer, site: Shown) -> Response:
    """Send a file of a record's folder, as the API does."""
    return sent(request, digest, name, caller, site.service)


@router.get("/records/{digest}/report")
def report(request: Request, digest: Digest, caller: Viewer, site: Shown) -> Response:
    """Open the report of a record, sealed off from these pages."""
    return sent(request, digest, REPORT, caller, site.service)


ENTRY = Entry("/records", router)
