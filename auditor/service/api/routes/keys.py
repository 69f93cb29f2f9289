"""Keys of callers: made, listed, and ended by an admin of their project."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from auditor.acting import act_by
from auditor.api.admitting import Admin
from auditor.api.parts import Served, Service
from auditor.api.reading import body_of
from auditor.api.shapes import EndAsked, KeyAsked, KeyList, KeyMade, KeyShown
from auditor.api.showing import documented
from auditor.callers import NewKey, end_of, new_key
from auditor.domain.acts import ActKind
from auditor.domain.api_keys import ApiKey, Role
from auditor.refusals import CallError, NotFoundError, StandingError

KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201, openapi_extra=documented(KeyAsked))
async def make(request: Request, caller: Admin, service: Served) -> KeyMade:
    """Make a key. Its text is in this answer, and nowhere else."""
    asked = await body_of(request, KeyAsked)
    made = await run_in_threadpool(made_for, service, caller, asked)
    return KeyMade(key=_shown(made.key), text=made.text)


def made_for(service: Service, caller: ApiKey, asked: KeyAsked) -> NewKey:
    """Make and keep a key in the caller's project. Raises ``CallError``."""
    if asked.role is Role.AGENT:
        raise CallError("an agent's key comes with the agent", cure="POST /v1/agents.")
    if not asked.name.isprintable():
        raise CallError("the key's name is not one line", cure="Name it in printable signs.")
    now = service.clock()
    ends = end_of(asked.expires, now, service.rationing.keys)
    made = new_key(caller.project, asked.role, asked.name, now, ends)
    act = act_by(caller, ActKind.KEY_MADE, made.key.id, now, role=asked.role.value)
    service.kept.add_key(made.key, act)
    return made


@router.get("")
def listed(caller: Admin, service: Served) -> KeyList:
    """List the project's keys, the oldest first, those that have ended too."""
    return KeyList(keys=[_shown(key) for key in service.kept.keys(caller.project)])


@router.post("/{key}/end", openapi_extra=documented(EndAsked))
async def end(key: KeyId, request: Request, caller: Admin, service: Served) -> KeyShown:
    """End a key for good. A caller cannot end the key that it calls with."""
    asked = await body_of(request, EndAsked)
    return _shown(await run_in_threadpool(end_for, service, caller, key, asked.reason))


def end_for(service: Service, caller: ApiKey, key: str, reason: str) -> ApiKey:
    """End a key of the caller's project. Raises ``NotFoundError`` and ``StandingError``."""
    if not reason.isprintable():
        raise CallError("the reason is not one line", cure="Give it in printable signs.")
    found = service.kept.key(key)
    if found is None or found.project != caller.project:
        raise NotFoundError(f"there is no key {key}", cure="GET /v1/keys lists them.")
    if found.id == caller.id:
        raise StandingError(
            "a key does not end itself", cure="Make another admin's key, and end this one with it."
        )
    now = service.clock()
    kind = ActKind.AGENT_ENDED if found.role is Role.AGENT else ActKind.KEY_ENDED
    act = act_by(caller, kind, key, now, reason=reason)
    service.kept.end_key(key, now, reason, act)
    again = service.kept.key(key)
    return found if again is None else again


def _shown(key: ApiKey) -> KeyShown:
    return KeyShown(
        id=key.id,
        project=key.project,
        role=key.role,
        name=key.name,
        created=key.created,
        expires=key.expires,
        ended=key.ended,
    )
