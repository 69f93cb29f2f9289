"""Routes for the result files of an audit, each under its digest."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from auditor.domain.digests import Digest
from auditor.errors import NotFoundError
from auditor.reports.folder import BUNDLE, EVIDENCE, RECORD, VERDICT
from auditor.reports.manifest import build_manifest
from auditor.service.api.auth import Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import (
    AuditId,
    DigestPath,
    build_etag_headers,
    find_audit,
    respond_not_modified,
)
from auditor.service.api.response_cache import CachedRoute, cache_response
from auditor.service.api.schemas import FileList, RecordFileResponse
from auditor.service.domain.access import ApiKey

REPORT = "report.html"
PAGE = "text/html; charset=utf-8"
TYPES: Mapping[str, str] = {
    ".json": "application/json",
    ".html": PAGE,
    ".md": "text/markdown; charset=utf-8",
    ".xml": "application/xml",
    ".sarif": "application/sarif+json",
    ".pub": "text/plain; charset=utf-8",
    ".py": "text/plain; charset=utf-8",
}
ANY = "application/octet-stream"
SEALED = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-popups"
)
"""For the report: it has no script and asks for nothing, and the page's own policy says more."""
BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {ANY: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "Not changed."},
}
File = Annotated[str, Path(max_length=300, examples=["record.json"])]
router = APIRouter(prefix="/v1/audits", tags=["results"], route_class=CachedRoute)


@router.get("/{audit}/files")
@cache_response()
def list_audit_files(audit: AuditId, caller: Viewer, service: Served) -> FileList:
    """List all files of an audit, as ``auditor audit --out`` writes them."""
    return build_file_list(service, find_audit_files(service, caller, audit))


@router.get("/{audit}/files/{name:path}", response_class=Response, responses=BINARY)
def get_audit_file(
    request: Request, audit: AuditId, name: File, caller: Viewer, service: Served
) -> Response:
    """Download a file of the list."""
    return send_audit_file(request, service, caller, audit, name)


@router.get("/{audit}/record", response_class=Response, responses=BINARY)
def get_record(request: Request, audit: AuditId, caller: Viewer, service: Served) -> Response:
    """Download the record, the document that is signed."""
    return send_audit_file(request, service, caller, audit, RECORD)


@router.get("/{audit}/envelope", response_class=Response, responses=BINARY)
def get_envelope(request: Request, audit: AuditId, caller: Viewer, service: Served) -> Response:
    """Download the signature of the record."""
    return send_audit_file(request, service, caller, audit, BUNDLE)


@router.get("/{audit}/report", response_class=Response, responses=BINARY)
def get_report(request: Request, audit: AuditId, caller: Viewer, service: Served) -> Response:
    """Download the report as one HTML page."""
    return send_audit_file(request, service, caller, audit, REPORT)


@router.get("/{audit}/verdict", response_class=Response, responses=BINARY)
def get_verdict(request: Request, audit: AuditId, caller: Viewer, service: Served) -> Response:
    """Download the signed verdict as a verification summary (SLSA)."""
    return send_audit_file(request, service, caller, audit, VERDICT)


@router.get("/{audit}/evidence/{digest}", response_class=Response, responses=BINARY)
def get_evidence(
    request: Request, audit: AuditId, digest: DigestPath, caller: Viewer, service: Served
) -> Response:
    """Download a blob of evidence that the record names."""
    name = f"{EVIDENCE}/{Digest(digest).hex}"
    return send_audit_file(request, service, caller, audit, name)


def build_file_list(service: ServiceContext, files: Mapping[str, str]) -> FileList:
    """Return the list of a record's files, from their digests by their names."""
    blobs = service.store.blobs
    sizes = [(name, digest, blobs.size(digest)) for name, digest in files.items()]
    return FileList(files=[RecordFileResponse(name=n, digest=d, size=s) for n, d, s in sizes])


def find_audit_files(service: ServiceContext, caller: ApiKey, audit: str) -> Mapping[str, str]:
    """Return the digests of an audit's files by name. Raises ``NotFoundError``."""
    found = find_audit(service, caller, audit)
    ending = service.kept.outcome(found.id)
    if ending is None or ending.files is None:
        raise NotFoundError(
            f"audit {audit} is {service.kept.state(audit)} and has no files",
            cure="Wait for the end of the audit; follow its events.",
        )
    return build_manifest(service.store.blobs, ending.files)


def send_audit_file(
    request: Request, service: ServiceContext, caller: ApiKey, audit: str, name: str
) -> Response:
    """Return a file of an audit's folder, sealed where it is a page. Raises ``NotFoundError``."""
    return send_record_file(
        request, service, find_audit_files(service, caller, audit), name, f"the audit {audit}"
    )


def send_record_file(
    request: Request, service: ServiceContext, files: Mapping[str, str], name: str, whose: str
) -> Response:
    """Send one of a record's files, if it has one of that name. Raises ``NotFoundError``."""
    digest = files.get(name)
    if digest is None:
        raise NotFoundError(f"{whose} has no file with this name", cure="List the files first.")
    kind = TYPES.get(PurePosixPath(name).suffix, ANY)
    headers = build_etag_headers(digest)
    if kind == PAGE:
        headers["Content-Security-Policy"] = SEALED
    else:
        named = PurePosixPath(name).name
        headers["Content-Disposition"] = f'attachment; filename="{named}"'
    same = respond_not_modified(request, headers)
    if same is not None:
        return same
    return FileResponse(service.store.blobs.path(digest), media_type=kind, headers=headers)
