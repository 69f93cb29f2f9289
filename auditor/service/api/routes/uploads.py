"""Files that callers bring: sent in parts, looked up, and listed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Submitter, Viewer
from auditor.api.parts import Served, Service
from auditor.api.reading import SUM, Digest, Limit, file_name, whole_number
from auditor.api.shapes import Reached, UploadPage, UploadShown
from auditor.domain.api_keys import ApiKey
from auditor.domain.served import UploadKind
from auditor.refusals import CallError, NotFoundError
from auditor.uploading import Held, Parcel

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
            "Where these bytes begin; default 0. HEAD says how far it is.",
        ),
        (
            "Upload-Length",
            "integer",
            "How long the whole file is; default: to the end of this body.",
        ),
        ("Upload-Name", "string", "The file's name, for people; UTF-8, percent-encoded."),
    )
]


async def kind_of(request: Request) -> UploadKind:
    """Return the kind of file that a path speaks of."""
    return KINDS[request.url.path.split("/")[2]]


Kind = Annotated[UploadKind, Depends(kind_of)]


async def send(
    request: Request, response: Response, kind: Kind, digest: Digest, caller: Submitter,
    service: Served,
) -> Reached:  # fmt: skip
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
    _tell(response, Held(parcel.length - left, parcel.length, not left))
    return _reached(digest, Held(parcel.length - left, parcel.length, not left))


def ask(kind: Kind, digest: Digest, caller: Viewer, service: Served) -> Response:
    """Say how much of a file is there: 200 when it is kept, 204 when a part is, else 404."""
    held = _held(service, caller, kind, digest)
    answer = Response(status_code=DONE if held.complete else 204)
    _tell(answer, held)
    return answer


def look(kind: Kind, digest: Digest, caller: Viewer, service: Served) -> Reached:
    """Say how much of a file is there. The file itself is not handed out again."""
    return _reached(digest, _held(service, caller, kind, digest))


def listed(
    kind: Kind, caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=SUM)] = None,
) -> UploadPage:  # fmt: skip
    """List what the project has uploaded, in the order of digests."""
    found, following = service.kept.uploads(caller.project, kind, cursor, limit)
    shown = [UploadShown.model_validate(item.to_json()) for item in found]
    return UploadPage(uploads=shown, next=following)


async def _receive(request: Request, caller: ApiKey, service: Service, parcel: Parcel) -> int:
    """Take the body in, and return how many bytes are still to come.

    Raises ``TooManyError`` where the caller sends more than it may in a time; what came before
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


def _parcel(request: Request, caller: ApiKey, kind: UploadKind, digest: str) -> Parcel:
    offset = whole_number(request, "Upload-Offset") or 0
    length = whole_number(request, "Upload-Length")
    if length is None:
        body = whole_number(request, "Content-Length")
        if body is None:
            raise CallError("nothing says how long the file is", cure="Send Upload-Length.")
        length = offset + body
    if offset > length:
        raise CallError("Upload-Offset lies beyond Upload-Length", cure="Mend one of the two.")
    name = file_name(request, digest.removeprefix("sha256:"))
    return Parcel(
        project=caller.project, kind=kind, digest=digest, name=name, length=length, offset=offset
    )


def _held(service: Service, caller: ApiKey, kind: UploadKind, digest: str) -> Held:
    held = service.intake.held(caller.project, kind, digest)
    if held is None:
        raise NotFoundError(f"nothing of {digest} was uploaded", cure="PUT it here.")
    return held


def _tell(response: Response, held: Held) -> None:
    response.headers["Upload-Offset"] = str(held.offset)
    response.headers["Upload-Length"] = str(held.length)
    response.headers["Upload-Complete"] = "?1" if held.complete else "?0"


def _reached(digest: str, held: Held) -> Reached:
    return Reached(digest=digest, offset=held.offset, length=held.length, complete=held.complete)


def routes() -> APIRouter:
    """Return the same four routes for either kind of file."""
    router = APIRouter(prefix="/v1", tags=["uploads"])
    parts: dict[int | str, dict[str, Any]] = {DONE: {"model": Reached}, PART: {"model": Reached}}
    some: dict[int | str, dict[str, Any]] = {204: {"description": "So much of it is there."}}
    for word in KINDS:
        one, add = f"/{word}/{{digest}}", router.add_api_route
        extra = {**BODY, "parameters": HEADERS}
        add(one, send, methods=["PUT"], operation_id=f"put_{word}", status_code=NEW,
            responses=parts, openapi_extra=extra)  # fmt: skip
        add(one, ask, methods=["HEAD"], operation_id=f"head_{word}", response_class=Response,
            responses=some)  # fmt: skip
        add(one, look, methods=["GET"], operation_id=f"get_{word}")
        add(f"/{word}", listed, methods=["GET"], operation_id=f"list_{word}")
    return router
