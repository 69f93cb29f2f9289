"""Routes for records of the project by their digests: first ones and re-judged ones."""

from fastapi import APIRouter, Request, Response

from auditor.reports.manifest import build_manifest
from auditor.service.api.auth import Viewer
from auditor.service.api.context import Served
from auditor.service.api.requests import DigestPath
from auditor.service.api.routes.result_files import BINARY, File, build_file_list, send_record_file
from auditor.service.api.schemas import FileList
from auditor.service.api.schemas_people import RecordResponse
from auditor.service.approvals.people import read_stored_record

router = APIRouter(prefix="/v1/records", tags=["results"])


@router.get("/{digest}")
def get_record_summary(digest: DigestPath, caller: Viewer, service: Served) -> RecordResponse:
    """Return a record: its audit, and the record that it was judged from, if any."""
    kept = service.people.record(caller.project, digest)
    record = read_stored_record(kept)
    return RecordResponse(
        digest=digest,
        audit=kept.submission,
        verdict=record.verdict.value,
        derived_from=record.derived_from,
    )


@router.get("/{digest}/files")
def list_record_files(digest: DigestPath, caller: Viewer, service: Served) -> FileList:
    """List all files of a record."""
    kept = service.people.record(caller.project, digest)
    return build_file_list(service, build_manifest(service.store.blobs, kept.files))


@router.get("/{digest}/files/{name:path}", response_class=Response, responses=BINARY)
def get_record_file(
    request: Request, digest: DigestPath, name: File, caller: Viewer, service: Served
) -> Response:
    """Download a file of the list."""
    kept = service.people.record(caller.project, digest)
    files = build_manifest(service.store.blobs, kept.files)
    return send_record_file(request, service, files, name, f"the record {digest}")
