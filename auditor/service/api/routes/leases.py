"""What an agent calls while it works: for a lease, blobs, and to say what came of it."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import AgentKey
from auditor.api.agent_shapes import (
    AssignmentShown,
    FailedAsked,
    GoingShown,
    LeaseAsked,
    ProgressAsked,
    ResultAsked,
    Taken,
)
from auditor.api.parts import Served, Service
from auditor.api.reading import Digest, body_of, whole_number
from auditor.api.routes.agents import AgentId
from auditor.api.routes.files import ANY, BINARY
from auditor.api.routes.uploads import BODY
from auditor.api.showing import documented, tagged
from auditor.domain.agents import LEASE, Agent, Lease, Progress
from auditor.domain.api_keys import ApiKey
from auditor.domain.served import Failure
from auditor.leasing.enrolling import agent_of
from auditor.leasing.giving import advance, give_back, hand_in, lease_of
from auditor.leasing.receiving import receiving
from auditor.leasing.taking import needed, take
from auditor.refusals import CallError

PAUSE = 0.5
"""Seconds between two looks for an offer."""
NOTHING = 204
LeaseId = Annotated[str, Path(pattern=f"^{LEASE.pattern}$", examples=["lea-" + "0a" * 12])]
router = APIRouter(prefix="/v1/agents/{agent}", tags=["agents"])


@router.post("/lease", response_model=AssignmentShown, openapi_extra=documented(LeaseAsked),
             responses={NOTHING: {"description": "Nothing to do for now; ask again."}})  # fmt: skip
async def lease(
    agent: AgentId, request: Request, caller: AgentKey, service: Served
) -> AssignmentShown | Response:
    """Take one shard, as soon as there is one; an agent that asks anew is given what it has."""
    who = await run_in_threadpool(agent_of, service.agents, caller, agent)
    asked = await body_of(request, LeaseAsked)
    ends = time.monotonic() + asked.wait
    while True:
        found = await run_in_threadpool(take, service.agents, who, asked.code)
        if found is not None:
            return AssignmentShown.model_validate(found.to_json())
        if time.monotonic() >= ends or service.stopping():
            return Response(status_code=NOTHING)
        await asyncio.sleep(PAUSE)
        if await request.is_disconnected():
            # What is given to nobody would be lost until the lease is over.
            return Response(status_code=NOTHING)


@router.get("/blobs/{digest}", response_class=Response, responses=BINARY)
def blob(agent: AgentId, digest: Digest, caller: AgentKey, service: Served) -> Response:
    """Fetch a file that a lease in the agent's hands needs, or a `Range` of it."""
    needed(service.agents, agent_of(service.agents, caller, agent), digest)
    path = service.store.blobs.path(digest)
    return FileResponse(path, media_type=ANY, headers=tagged(digest))


@router.put("/evidence/{digest}", openapi_extra=BODY)
async def evidence(
    agent: AgentId, digest: Digest, request: Request, caller: AgentKey, service: Served
) -> Taken:
    """Send a blob of evidence, whole. Nothing is kept that has not the digest in the path."""
    who = await run_in_threadpool(agent_of, service.agents, caller, agent)
    length = whole_number(request, "Content-Length")
    if length is None:
        raise CallError("nothing says how long the blob is", cure="Send Content-Length.")
    arrives = receiving(service.agents, who, digest, length)
    async with contextmanager_in_threadpool(arrives) as arriving:
        async for chunk in request.stream():
            if chunk:
                await run_in_threadpool(arriving.take, chunk)
    return Taken()


@router.post("/leases/{lease}/progress", openapi_extra=documented(ProgressAsked))
async def progress(
    agent: AgentId, lease: LeaseId, request: Request, caller: AgentKey, service: Served
) -> GoingShown:
    """Say that the agent is at work, and how far; hear whether there is a reason to go on."""
    who, taken = await run_in_threadpool(_lease, service, caller, agent, lease)
    asked = await body_of(request, ProgressAsked)
    told = None if asked.total is None else Progress(asked.done, asked.total, asked.note)
    found = await run_in_threadpool(advance, service.agents, who, taken, told)
    return GoingShown(go_on=found.go_on, lapsed=found.lapsed)


@router.post("/leases/{lease}/result", openapi_extra=documented(ResultAsked))
async def result(
    agent: AgentId, lease: LeaseId, request: Request, caller: AgentKey, service: Served
) -> Taken:
    """Hand in what the check saw, signed. The first result of a shard is kept, and no other."""
    who, taken = await run_in_threadpool(_lease, service, caller, agent, lease)
    asked = await body_of(request, ResultAsked)
    shard, bundle = _bytes(asked.shard), _bytes(asked.bundle)
    await run_in_threadpool(hand_in, service.agents, who, taken, shard, bundle)
    return Taken()


@router.post("/leases/{lease}/failed", openapi_extra=documented(FailedAsked))
async def failed(
    agent: AgentId, lease: LeaseId, request: Request, caller: AgentKey, service: Served
) -> Taken:
    """Give a lease back. The shard is offered again; the third time the audit fails."""
    _who, taken = await run_in_threadpool(_lease, service, caller, agent, lease)
    asked = await body_of(request, FailedAsked)
    failure = Failure(problem=_line(asked.problem), cure=_line(asked.cure))
    await run_in_threadpool(give_back, service.agents, taken, failure)
    return Taken()


def _lease(service: Service, caller: ApiKey, agent: str, lease: str) -> tuple[Agent, Lease]:
    who = agent_of(service.agents, caller, agent)
    return who, lease_of(service.agents, who, lease)


def _line(text: str) -> str:
    """Return a text that databases and terminals can bear."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise CallError("a text has lone surrogates", cure="Send UTF-8.") from None
