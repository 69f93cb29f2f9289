"""Sealed sets: data that the auditor holds, kept by people who approve and named by orders."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Admin, Approver, Viewer
from auditor.api.parts import Served
from auditor.api.reading import Limit, body_of
from auditor.api.sealed_shapes import SealedSetAsked, SealedSetPage, SealedSetShown
from auditor.api.shapes import SET, EndAsked
from auditor.api.showing import documented
from auditor.domain.sealed_sets import SealedSet
from auditor.refusals import CallError
from auditor.sealedsets import Kept, keep, release
from auditor.store.service.sealed_sets import SealedSets

router = APIRouter(prefix="/v1/sealed-sets", tags=["sealed sets"])


@router.post("", status_code=201, openapi_extra=documented(SealedSetAsked))
async def hold(request: Request, caller: Approver, service: Served) -> SealedSetShown:
    """Hold a file that the project uploaded: orders name it by this name alone, for its role."""
    body = await body_of(request, SealedSetAsked)
    wish = Kept(
        name=body.name, role=body.role, digest=body.digest, file=body.file,
        note=body.note.replace("\0", ""),
    )  # fmt: skip
    made = await run_in_threadpool(keep, service.kept, caller, wish, service.clock)
    return _shown(made)


@router.post("/{name}/release", status_code=204, openapi_extra=documented(EndAsked))
async def let_go(
    name: Annotated[str, Path(pattern=SET, examples=["loans-2026"])], request: Request,
    caller: Admin, service: Served,
) -> Response:  # fmt: skip
    """Hold a set no more that no audit has used yet, for a reason. There is no way back."""
    asked = await body_of(request, EndAsked)
    if not asked.reason.isprintable():
        raise CallError("the reason is not one line", cure="Give it in printable signs.")
    await run_in_threadpool(release, service.kept, caller, name, asked.reason, service.clock)
    return Response(status_code=204)


@router.get("")
def listed(
    caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=SET)] = None,
) -> SealedSetPage:  # fmt: skip
    """List the project's sealed sets by their names."""
    found, following = SealedSets(service.store).of_project(caller.project, cursor, limit)
    return SealedSetPage(sealed_sets=[_shown(item) for item in found], next=following)


def _shown(item: SealedSet) -> SealedSetShown:
    return SealedSetShown(
        name=item.name,
        role=item.role,
        digest=item.digest,
        file=item.file.name,
        note=item.note,
        size=item.file.size,
        by=item.by,
        at=item.at,
    )
