"""Records of the project by their digests: those that were judged again, and the first ones."""

from fastapi import APIRouter, Request, Response

from auditor.api.admitting import Viewer
from auditor.api.decided import RecordShown
from auditor.api.parts import Served
from auditor.api.reading import Digest
from auditor.api.routes.files import BINARY, File, files_shown, sent
from auditor.api.shapes import FileList
from auditor.manifests import manifest
from auditor.people.panels import read_kept

router = APIRouter(prefix="/v1/records", tags=["results"])


@router.get("/{digest}")
def look(digest: Digest, caller: Viewer, service: Served) -> RecordShown:
    """Look at a record: which audit it is of, and from which record it came, if from one."""
    kept = service.people.record(caller.project, digest)
    record = read_kept(kept)
    return RecordShown(
        digest=digest,
        audit=kept.submission,
        verdict=record.verdict.value,
        derived_from=record.derived_from,
    )


@router.get("/{digest}/files")
def listed(digest: Digest, caller: Viewer, service: Served) -> FileList:
    """List every file of a record's folder."""
    kept = service.people.record(caller.project, digest)
    return files_shown(service, manifest(service.store.blobs, kept.files))


@router.get("/{digest}/files/{name:path}", response_class=Response, responses=BINARY)
def file(request: Request, digest: Digest, name: File, caller: Viewer, service: Served) -> Response:
    """Fetch one of the files that the list names."""
    kept = service.people.record(caller.project, digest)
    files = manifest(service.store.blobs, kept.files)
    return sent(request, service, files, name, f"the record {digest}")
