"""Routes for the events of an audit, as a list or as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from auditor.service.api.auth import Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import AuditId, Limit, find_audit, read_whole_number
from auditor.service.api.response_cache import CachedRoute, cache_response
from auditor.service.api.schemas import EventList, EventResponse
from auditor.service.domain.submissions import ENDED, Submission
from auditor.service.store.submission_history import ServiceStore

PAGE = 500
PAUSE = 0.3
"""Seconds between two looks for new events: much less than a check takes."""
QUIET = 15.0
"""Seconds after which a comment keeps a silent line open."""
NOTHING_MORE = 204
LAST = {"name": "Last-Event-ID", "in": "header", "required": False,
        "schema": {"type": "integer"}, "description": "Last event received."}  # fmt: skip
MEDIA = "text/event-stream"
router = APIRouter(prefix="/v1/audits", tags=["audits"], route_class=CachedRoute)


@router.get("/{audit}/events", response_model=EventList, openapi_extra={"parameters": [LAST]},
            responses={200: {"content": {MEDIA: {"schema": {"type": "string"}}}},
                       NOTHING_MORE: {"description": "The audit has ended."}})  # fmt: skip
@cache_response("Accept", "Last-Event-ID")
async def follow_audit(
    request: Request, audit: AuditId, caller: Viewer, service: Served, limit: Limit = 200,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> EventList | Response:  # fmt: skip
    """Follow an audit as server-sent events; with ``Accept: application/json``, list its events.

    Both start after ``Last-Event-ID``, or ``after``. A stream ends with the audit.
    """
    last = max(read_whole_number(request, "Last-Event-ID") or 0, after)
    if "application/json" in request.headers.get("accept", ""):
        return await run_in_threadpool(_list, service, partial(find_audit, service, caller, audit),
                                       last, limit)  # fmt: skip
    found = await run_in_threadpool(find_audit, service, caller, audit)
    if await run_in_threadpool(_over, service.kept, found.id, last):
        return Response(status_code=NOTHING_MORE)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(service, found.id, last), headers=headers, media_type=MEDIA)


def _list(
    service: ServiceContext, audit: Callable[[], Submission], after: int, limit: int
) -> EventList:
    # The state first: a list that says that all is over holds the events until then.
    with service.store.at_once():
        kept, name = service.kept, audit().id
        state, found = kept.state(name), kept.events(name, after, limit)
    events = [EventResponse.model_validate(it.to_json()) for it in found]
    return EventList(state=state, events=events)


def _over(kept: ServiceStore, name: str, after: int) -> bool:
    return kept.state(name) in ENDED and not kept.events(name, after, 1)


async def _lines(service: ServiceContext, name: str, after: int) -> AsyncIterator[str]:
    silent = 0.0
    while not service.stopping():
        found = await run_in_threadpool(service.kept.events, name, after, PAGE)
        for event in found:
            # JSON on one line: a line end in a text is escaped, and cannot begin another field.
            body = json.dumps(event.to_json(), ensure_ascii=True)
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {body}\n\n"
        if any(event.kind in ENDED for event in found):
            return
        after = found[-1].number if found else after
        silent = 0.0 if found else silent + PAUSE
        if silent >= QUIET:
            silent = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(PAUSE)
