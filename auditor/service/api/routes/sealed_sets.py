"""Routes for sealed datasets: kept by approvers, and named by audit orders."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.errors import MalformedRequestError
from auditor.service.api.auth import Admin, Approver, Viewer
from auditor.service.api.context import Served
from auditor.service.api.requests import Limit, build_openapi_extra, parse_json_body
from auditor.service.api.schemas import (
    ReasonRequestBody,
    SealedSetPage,
    SealedSetRequestBody,
    SealedSetResponse,
)
from auditor.service.domain.schedules import SealedSet
from auditor.service.domain.submissions import SET
from auditor.service.sealed_sets import SealedSetOrder, hold_sealed_set, release_sealed_set
from auditor.service.store.audit_attempts import SealedSetStore

router = APIRouter(prefix="/v1/sealed-sets", tags=["sealed sets"])


@router.post("", status_code=201, openapi_extra=build_openapi_extra(SealedSetRequestBody))
async def create_sealed_set(
    request: Request, caller: Approver, service: Served
) -> SealedSetResponse:
    """Create a sealed set from an uploaded file. Audits name it only by its name, for its role."""
    body = await parse_json_body(request, SealedSetRequestBody)
    wish = SealedSetOrder(
        name=body.name, role=body.role, digest=body.digest, file=body.file,
        note=body.note.replace("\0", ""),
    )  # fmt: skip
    made = await run_in_threadpool(hold_sealed_set, service.kept, caller, wish, service.clock)
    return _shown(made)


@router.post(
    "/{name}/release", status_code=204, openapi_extra=build_openapi_extra(ReasonRequestBody)
)
async def release_set(
    name: Annotated[str, Path(pattern=SET, examples=["loans-2026"])], request: Request,
    caller: Admin, service: Served,
) -> Response:  # fmt: skip
    """Release a sealed set that no audit has used. You cannot undo this."""
    asked = await parse_json_body(request, ReasonRequestBody)
    if not asked.reason.isprintable():
        raise MalformedRequestError(
            "the reason is not a single line of text", cure="Use printable characters only."
        )
    await run_in_threadpool(
        release_sealed_set, service.kept, caller, name, asked.reason, service.clock
    )
    return Response(status_code=204)


@router.get("")
def list_sealed_sets(
    caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=SET)] = None,
) -> SealedSetPage:  # fmt: skip
    """List the sealed sets of the project by name."""
    found, following = SealedSetStore(service.store).of_project(caller.project, cursor, limit)
    return SealedSetPage(sealed_sets=[_shown(item) for item in found], next=following)


def _shown(item: SealedSet) -> SealedSetResponse:
    return SealedSetResponse(
        name=item.name,
        role=item.role,
        digest=item.digest,
        file=item.file.name,
        note=item.note,
        size=item.file.size,
        by=item.by,
        at=item.at,
    )
