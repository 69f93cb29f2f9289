"""Routes for uploads: files sent in parts, looked up, and listed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool

from auditor.domain.digests import Digest
from auditor.errors import MalformedRequestError, NotFoundError
from auditor.service.api.auth import Submitter, Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import SUM, DigestPath, Limit, read_file_name, read_whole_number
from auditor.service.api.schemas import UploadPage, UploadProgressResponse, UploadResponse
from auditor.service.domain.access import ApiKey
from auditor.service.domain.submissions import UploadKind
from auditor.service.uploads import UploadProgress, UploadSpec

KINDS = {"artifacts": UploadKind.ARTIFACT, "datasets": UploadKind.DATASET}
PART, DONE, NEW = 202, 200, 201
AT_ONCE = 2**20
"""Bytes that are counted together."""
BODY = {"requestBody": {"content": {"application/octet-stream": {
    "schema": {"type": "string", "format": "binary"}}}}}  # fmt: skip
HEADERS = [
    {"name": name, "in": "header", "required": False, "schema": {"type": kind}, "description": said}
    for name, kind, said in (
        (
            "Upload-Offset",
            "integer",
            (
                "Offset of the first byte of this request; default 0. HEAD returns the "
                "current offset."
            ),
        ),
        (
            "Upload-Length",
            "integer",
            "Length of the whole file; default: the end of this body.",
        ),
        ("Upload-Name", "string", "Display name of the file; UTF-8, percent-encoded."),
    )
]


async def parse_upload_kind(request: Request) -> UploadKind:
    """Return the kind of file that a path speaks of."""
    return KINDS[request.url.path.split("/")[2]]


Kind = Annotated[UploadKind, Depends(parse_upload_kind)]


async def upload_file(
    request: Request, response: Response, kind: Kind, digest: DigestPath, caller: Submitter,
    service: Served,
) -> UploadProgressResponse:  # fmt: skip
    """Send a file, or the rest of one. Nothing is kept that does not have the digest in the path.

    201: it is kept; 200: it was kept before; 202: more is to come, from the offset in the answer.
    """
    parcel = _parcel(request, caller, kind, digest)
    held = await run_in_threadpool(service.intake.held, caller.project, parcel.kind, digest)
    if held is not None and held.complete:
        await run_in_threadpool(service.intake.note, parcel.of_length(held.length))
        response.status_code = DONE
        return _reached(digest, held)
    left = await _receive(request, caller, service, parcel)
    if left:
        response.status_code = PART
    _tell(response, UploadProgress(parcel.length - left, parcel.length, not left))
    return _reached(digest, UploadProgress(parcel.length - left, parcel.length, not left))


def check_upload(kind: Kind, digest: DigestPath, caller: Viewer, service: Served) -> Response:
    """Say how much of a file is there: 200 when it is kept, 204 when a part is, else 404."""
    held = _held(service, caller, kind, digest)
    answer = Response(status_code=DONE if held.complete else 204)
    _tell(answer, held)
    return answer


def get_upload(
    kind: Kind, digest: DigestPath, caller: Viewer, service: Served
) -> UploadProgressResponse:
    """Say how much of a file is there. The file itself is not handed out again."""
    return _reached(digest, _held(service, caller, kind, digest))


def list_uploads(
    kind: Kind, caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=SUM)] = None,
) -> UploadPage:  # fmt: skip
    """List what the project has uploaded, in the order of digests."""
    found, following = service.kept.uploads(caller.project, kind, cursor, limit)
    shown = [UploadResponse.model_validate(item.to_json()) for item in found]
    return UploadPage(uploads=shown, next=following)


async def _receive(
    request: Request, caller: ApiKey, service: ServiceContext, parcel: UploadSpec
) -> int:
    """Take the body in, and return how many bytes are still to come.

    Raises ``RateLimitError`` where the caller sends more than it may in a time; what came before
    stays.
    """
    first = min(parcel.length - parcel.offset, AT_ONCE)
    service.rationing.bytes(caller.id, first)
    uncounted = -first
    async with contextmanager_in_threadpool(service.intake.receiving(parcel)) as arriving:
        async for chunk in request.stream():
            if chunk:
                uncounted += len(chunk)
                if uncounted >= AT_ONCE:
                    service.rationing.bytes(caller.id, uncounted)
                    uncounted = 0
                await run_in_threadpool(arriving.take, chunk)
    return arriving.left


def _parcel(request: Request, caller: ApiKey, kind: UploadKind, digest: str) -> UploadSpec:
    offset = read_whole_number(request, "Upload-Offset") or 0
    length = read_whole_number(request, "Upload-Length")
    if length is None:
        body = read_whole_number(request, "Content-Length")
        if body is None:
            raise MalformedRequestError(
                "the length of the file is missing", cure="Send Upload-Length."
            )
        length = offset + body
    if offset > length:
        raise MalformedRequestError(
            "Upload-Offset is greater than Upload-Length", cure="Correct one of the two."
        )
    name = read_file_name(request, Digest(digest).hex)
    return UploadSpec(
        project=caller.project, kind=kind, digest=digest, name=name, length=length, offset=offset
    )


def _held(service: ServiceContext, caller: ApiKey, kind: UploadKind, digest: str) -> UploadProgress:
    held = service.intake.held(caller.project, kind, digest)
    if held is None:
        raise NotFoundError(f"{digest} was not uploaded", cure="Upload it with PUT to this path.")
    return held


def _tell(response: Response, held: UploadProgress) -> None:
    response.headers["Upload-Offset"] = str(held.offset)
    response.headers["Upload-Length"] = str(held.length)
    response.headers["Upload-Complete"] = "?1" if held.complete else "?0"


def _reached(digest: str, held: UploadProgress) -> UploadProgressResponse:
    return UploadProgressResponse(
        digest=digest, offset=held.offset, length=held.length, complete=held.complete
    )


def add_upload_routes() -> APIRouter:
    """Return the same four routes for either kind of file."""
    router = APIRouter(prefix="/v1", tags=["uploads"])
    parts: dict[int | str, dict[str, Any]] = {
        DONE: {"model": UploadProgressResponse},
        PART: {"model": UploadProgressResponse},
    }
    some: dict[int | str, dict[str, Any]] = {
        204: {"description": "The current offset is in Upload-Offset."}
    }
    for word in KINDS:
        one, add = f"/{word}/{{digest}}", router.add_api_route
        extra = {**BODY, "parameters": HEADERS}
        add(one, upload_file, methods=["PUT"], operation_id=f"put_{word}", status_code=NEW,
            responses=parts, openapi_extra=extra)  # fmt: skip
        add(one, check_upload, methods=["HEAD"], operation_id=f"head_{word}",
            response_class=Response, responses=some)  # fmt: skip
        add(one, get_upload, methods=["GET"], operation_id=f"get_{word}")
        add(f"/{word}", list_uploads, methods=["GET"], operation_id=f"list_{word}")
    return router


router = add_upload_routes()
