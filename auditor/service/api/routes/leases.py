"""Routes for agents at work: take a lease, fetch blobs, report progress, and submit results."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from auditor.errors import MalformedRequestError
from auditor.service.api.auth import AgentKey
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import (
    DigestPath,
    build_etag_headers,
    build_openapi_extra,
    parse_json_body,
    read_whole_number,
)
from auditor.service.api.routes.agents import AgentId
from auditor.service.api.routes.result_files import ANY, BINARY
from auditor.service.api.routes.uploads import BODY
from auditor.service.api.schemas_agents import (
    AssignmentResponse,
    FailureRequestBody,
    LeaseRequestBody,
    LeaseStatusResponse,
    ProgressRequestBody,
    ReceiptResponse,
    ResultRequestBody,
)
from auditor.service.domain.access import ApiKey
from auditor.service.domain.agents import LEASE, Agent, LeaseProgress, ShardLease
from auditor.service.domain.submissions import SubmissionFailure
from auditor.service.leases.enrolment import find_calling_agent
from auditor.service.leases.lifecycle import (
    accept_shard_result,
    find_agent_lease,
    give_back_lease,
    receive_evidence,
    renew_lease,
    require_leased_blob,
    take_lease,
)

PAUSE = 0.5
"""Seconds between two looks for an offer."""
NOTHING = 204
LeaseId = Annotated[str, Path(pattern=f"^{LEASE.pattern}$", examples=["lea-" + "0a" * 12])]
router = APIRouter(prefix="/v1/agents/{agent}", tags=["agents"])


@router.post("/lease", response_model=AssignmentResponse,
             openapi_extra=build_openapi_extra(LeaseRequestBody),
             responses={NOTHING: {"description": "No work at the moment; ask again."}})  # fmt: skip
async def request_lease(
    agent: AgentId, request: Request, caller: AgentKey, service: Served
) -> AssignmentResponse | Response:
    """Lease one shard as soon as one is available; an agent that repeats the request gets its
    current lease.
    """
    who = await run_in_threadpool(find_calling_agent, service.agents, caller, agent)
    asked = await parse_json_body(request, LeaseRequestBody)
    ends = time.monotonic() + asked.wait
    while True:
        found = await run_in_threadpool(take_lease, service.agents, who, asked.code)
        if found is not None:
            return AssignmentResponse.model_validate(found.to_json())
        if time.monotonic() >= ends or service.stopping():
            return Response(status_code=NOTHING)
        await asyncio.sleep(PAUSE)
        if await request.is_disconnected():
            # What is given to nobody would be lost until the lease is over.
            return Response(status_code=NOTHING)


@router.get("/blobs/{digest}", response_class=Response, responses=BINARY)
def get_lease_blob(
    agent: AgentId, digest: DigestPath, caller: AgentKey, service: Served
) -> Response:
    """Return a file that a lease of the agent needs, or a `Range` of it."""
    require_leased_blob(service.agents, find_calling_agent(service.agents, caller, agent), digest)
    path = service.store.blobs.path(digest)
    return FileResponse(path, media_type=ANY, headers=build_etag_headers(digest))


@router.put("/evidence/{digest}", openapi_extra=BODY)
async def upload_evidence(
    agent: AgentId, digest: DigestPath, request: Request, caller: AgentKey, service: Served
) -> ReceiptResponse:
    """Upload a blob of evidence in one request. Its digest must match the path."""
    who = await run_in_threadpool(find_calling_agent, service.agents, caller, agent)
    length = read_whole_number(request, "Content-Length")
    if length is None:
        raise MalformedRequestError(
            "the length of the blob is missing", cure="Send Content-Length."
        )
    arrives = receive_evidence(service.agents, who, digest, length)
    async with contextmanager_in_threadpool(arrives) as arriving:
        async for chunk in request.stream():
            if chunk:
                await run_in_threadpool(arriving.take, chunk)
    return ReceiptResponse()


@router.post("/leases/{lease}/progress", openapi_extra=build_openapi_extra(ProgressRequestBody))
async def report_progress(
    agent: AgentId, lease: LeaseId, request: Request, caller: AgentKey, service: Served
) -> LeaseStatusResponse:
    """Report progress, renew the lease, and learn whether to continue."""
    who, taken = await run_in_threadpool(_lease, service, caller, agent, lease)
    asked = await parse_json_body(request, ProgressRequestBody)
    told = None if asked.total is None else LeaseProgress(asked.done, asked.total, asked.note)
    found = await run_in_threadpool(renew_lease, service.agents, who, taken, told)
    return LeaseStatusResponse(go_on=found.go_on, lapsed=found.lapsed)


@router.post("/leases/{lease}/result", openapi_extra=build_openapi_extra(ResultRequestBody))
async def submit_result(
    agent: AgentId, lease: LeaseId, request: Request, caller: AgentKey, service: Served
) -> ReceiptResponse:
    """Submit the signed result of a check. Only the first result of a shard is kept."""
    who, taken = await run_in_threadpool(_lease, service, caller, agent, lease)
    asked = await parse_json_body(request, ResultRequestBody)
    shard, bundle = _bytes(asked.shard), _bytes(asked.bundle)
    await run_in_threadpool(accept_shard_result, service.agents, who, taken, shard, bundle)
    return ReceiptResponse()


@router.post("/leases/{lease}/failed", openapi_extra=build_openapi_extra(FailureRequestBody))
async def return_lease(
    agent: AgentId, lease: LeaseId, request: Request, caller: AgentKey, service: Served
) -> ReceiptResponse:
    """Return a lease. The shard is offered again; after the third time the audit fails."""
    _who, taken = await run_in_threadpool(_lease, service, caller, agent, lease)
    asked = await parse_json_body(request, FailureRequestBody)
    failure = SubmissionFailure(problem=_line(asked.problem), cure=_line(asked.cure))
    await run_in_threadpool(give_back_lease, service.agents, taken, failure)
    return ReceiptResponse()


def _lease(
    service: ServiceContext, caller: ApiKey, agent: str, lease: str
) -> tuple[Agent, ShardLease]:
    who = find_calling_agent(service.agents, caller, agent)
    return who, find_agent_lease(service.agents, who, lease)


def _line(text: str) -> str:
    """Return a text that databases and terminals can bear."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedRequestError("a text has lone surrogates", cure="Send UTF-8.") from None
