"""Agents: enrolled by an admin, listed, and greeted when they start."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Admin, AgentKey, Viewer
from auditor.api.agent_shapes import (
    AgentEnrolled,
    AgentList,
    AgentShown,
    EnrolAsked,
    HelloAsked,
    HelloShown,
)
from auditor.api.parts import Served, Service
from auditor.api.reading import body_of
from auditor.api.showing import documented
from auditor.callers import end_of
from auditor.domain.agents import Hello
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import canonical
from auditor.leasing.enrolling import Enrolment, agent_of, enrol, greet
from auditor.leasing.terms import after
from auditor.refusals import CallError
from auditor.signatures.keys import read_public_key
from auditor.store.service.agents import Known

AgentId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
MOST_PROBES = 2**17
router = APIRouter(prefix="/v1/agents", tags=["agents"])


@router.post("", status_code=201, openapi_extra=documented(EnrolAsked))
async def make(request: Request, caller: Admin, service: Served) -> AgentEnrolled:
    """Enrol an agent. The text of the key that it calls with is in this answer alone."""
    asked = await body_of(request, EnrolAsked)
    if not all(it.isprintable() for it in (asked.name, *asked.targets)):
        raise CallError("a name is not one line", cure="Name it in printable signs.")
    wanted = Enrolment(
        name=asked.name,
        targets=tuple(dict.fromkeys(asked.targets)),
        public_key=asked.public_key,
        expires=end_of(asked.expires, service.clock(), service.rationing.keys),
    )
    agent, made = await run_in_threadpool(enrol, service.agents, caller, wanted)
    (shown,) = _shown(service, [Known(agent, None, None)], {made.key.id: made.key})
    return AgentEnrolled(agent=shown, text=made.text)


@router.get("")
def listed(caller: Viewer, service: Served) -> AgentList:
    """List the project's agents, the oldest first. `POST /v1/keys/ID/end` ends one."""
    keys = {key.id: key for key in service.kept.keys(caller.project)}
    found = service.agents.agents.agents(caller.project)
    return AgentList(agents=_shown(service, found, keys))


@router.post("/{agent}/hello", openapi_extra=documented(HelloAsked))
async def hello(agent: AgentId, request: Request, caller: AgentKey, service: Served) -> HelloShown:
    """Say that an agent starts, by which code, for which targets, and what these are."""
    who = await run_in_threadpool(agent_of, service.agents, caller, agent)
    asked = await body_of(request, HelloAsked)
    if len(canonical(asked.probes)) > MOST_PROBES:
        raise CallError("the probes are too long", cure=f"Send {MOST_PROBES} bytes at most.")
    said = Hello(code=asked.code, targets=tuple(asked.targets), probes=asked.probes)
    await run_in_threadpool(greet, service.agents, who, said)
    return HelloShown(code=service.agents.code, seconds=service.agents.terms.lease)


def _shown(service: Service, found: Sequence[Known], keys: dict[str, ApiKey]) -> list[AgentShown]:
    hold, now = service.agents, service.clock()
    since = after(now, -hold.terms.live)
    return [
        AgentShown(
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
