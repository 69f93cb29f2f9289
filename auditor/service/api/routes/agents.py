"""Routes for agents: enrolment by an admin, listing, and reports at their start."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from auditor.domain.json import encode_canonical
from auditor.errors import MalformedRequestError
from auditor.service.api.auth import Admin, AgentKey, Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import build_openapi_extra, parse_json_body
from auditor.service.api.schemas_agents import (
    AgentHelloRequestBody,
    AgentHelloResponse,
    AgentList,
    AgentResponse,
    EnrolmentRequestBody,
    EnrolmentResponse,
)
from auditor.service.auth.api_keys import resolve_key_expiry
from auditor.service.domain.access import ApiKey
from auditor.service.domain.agents import AgentHello
from auditor.service.leases.enrolment import (
    AgentEnrolment,
    enrol_agent,
    find_calling_agent,
    record_agent_hello,
)
from auditor.service.leases.terms import add_seconds
from auditor.service.store.agents import AgentStatus
from auditor.trust.signatures.keys import read_public_key

AgentId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
MOST_PROBES = 2**17
router = APIRouter(prefix="/v1/agents", tags=["agents"])


@router.post("", status_code=201, openapi_extra=build_openapi_extra(EnrolmentRequestBody))
async def create_agent(request: Request, caller: Admin, service: Served) -> EnrolmentResponse:
    """Enrol an agent. Only this answer contains the text of its API key."""
    asked = await parse_json_body(request, EnrolmentRequestBody)
    if not all(it.isprintable() for it in (asked.name, *asked.targets)):
        raise MalformedRequestError(
            "a name is not a single line of text", cure="Use printable characters only."
        )
    wanted = AgentEnrolment(
        name=asked.name,
        targets=tuple(dict.fromkeys(asked.targets)),
        public_key=asked.public_key,
        expires=resolve_key_expiry(asked.expires, service.clock(), service.rationing.keys),
    )
    agent, made = await run_in_threadpool(enrol_agent, service.agents, caller, wanted)
    (shown,) = _shown(service, [AgentStatus(agent, None, None)], {made.key.id: made.key})
    return EnrolmentResponse(agent=shown, text=made.text)


@router.get("")
def list_agents(caller: Viewer, service: Served) -> AgentList:
    """List the agents of the project, oldest first. `POST /v1/keys/ID/end` revokes one."""
    keys = {key.id: key for key in service.kept.keys(caller.project)}
    found = service.agents.agents.agents(caller.project)
    return AgentList(agents=_shown(service, found, keys))


@router.post("/{agent}/hello", openapi_extra=build_openapi_extra(AgentHelloRequestBody))
async def report_agent_start(
    agent: AgentId, request: Request, caller: AgentKey, service: Served
) -> AgentHelloResponse:
    """Report the start of an agent: its code, its targets and their probes."""
    who = await run_in_threadpool(find_calling_agent, service.agents, caller, agent)
    asked = await parse_json_body(request, AgentHelloRequestBody)
    if len(encode_canonical(asked.probes)) > MOST_PROBES:
        raise MalformedRequestError(
            "the probes are too long", cure=f"Send {MOST_PROBES} bytes at most."
        )
    said = AgentHello(code=asked.code, targets=tuple(asked.targets), probes=asked.probes)
    await run_in_threadpool(record_agent_hello, service.agents, who, said)
    return AgentHelloResponse(code=service.agents.code, seconds=service.agents.terms.lease)


def _shown(
    service: ServiceContext, found: Sequence[AgentStatus], keys: dict[str, ApiKey]
) -> list[AgentResponse]:
    hold, now = service.agents, service.clock()
    since = add_seconds(now, -hold.terms.live)
    return [
        AgentResponse(
            id=it.agent.id,
            project=it.agent.project,
            name=it.agent.name,
            targets=list(it.agent.targets),
            identity=read_public_key(it.agent.public_key.encode()).identity,
            enrolled=it.agent.enrolled,
            expires=keys[it.agent.id].expires,
            ended=keys[it.agent.id].ended,
            seen=it.seen,
            works_for=[] if it.hello is None else list(it.hello.targets),
            live=(it.seen or "") >= since and keys[it.agent.id].holds(now),
            same_code=None if it.hello is None else it.hello.code == hold.code,
            probes={} if it.hello is None else dict(it.hello.probes),
        )
        for it in found
    ]
