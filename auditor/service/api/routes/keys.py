"""Routes for API keys: created, listed and revoked by an admin of their project."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from auditor.errors import MalformedRequestError, NotFoundError, StateConflictError
from auditor.service.api.auth import Admin
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import build_openapi_extra, parse_json_body
from auditor.service.api.schemas import (
    KeyList,
    KeyRequestBody,
    KeyResponse,
    KeySecretResponse,
    ReasonRequestBody,
)
from auditor.service.auth.api_keys import NewApiKey, create_api_key, resolve_key_expiry
from auditor.service.domain.access import AccessRole, ApiKey, AuditLogAction, build_log_entry

KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201, openapi_extra=build_openapi_extra(KeyRequestBody))
async def create_key(request: Request, caller: Admin, service: Served) -> KeySecretResponse:
    """Create an API key. Only this answer contains its text."""
    asked = await parse_json_body(request, KeyRequestBody)
    made = await run_in_threadpool(create_caller_key, service, caller, asked)
    return KeySecretResponse(key=_shown(made.key), text=made.text)


def create_caller_key(service: ServiceContext, caller: ApiKey, asked: KeyRequestBody) -> NewApiKey:
    """Make and keep a key in the caller's project. Raises ``MalformedRequestError``."""
    if asked.role is AccessRole.AGENT:
        raise MalformedRequestError(
            "the role agent cannot be chosen for an API key", cure="POST /v1/agents."
        )
    if not asked.name.isprintable():
        raise MalformedRequestError(
            "the name of the key is not a single line of text",
            cure="Use printable characters only.",
        )
    now = service.clock()
    ends = resolve_key_expiry(asked.expires, now, service.rationing.keys)
    made = create_api_key(caller.project, asked.role, asked.name, now, ends)
    act = build_log_entry(caller, AuditLogAction.KEY_MADE, made.key.id, now, role=asked.role.value)
    service.kept.add_key(made.key, act)
    return made


@router.get("")
def list_keys(caller: Admin, service: Served) -> KeyList:
    """List the API keys of the project, oldest first, including revoked ones."""
    return KeyList(keys=[_shown(key) for key in service.kept.keys(caller.project)])


@router.post("/{key}/end", openapi_extra=build_openapi_extra(ReasonRequestBody))
async def revoke_key(key: KeyId, request: Request, caller: Admin, service: Served) -> KeyResponse:
    """Revoke an API key permanently. You cannot revoke the key that you send."""
    asked = await parse_json_body(request, ReasonRequestBody)
    return _shown(await run_in_threadpool(revoke_caller_key, service, caller, key, asked.reason))


def revoke_caller_key(service: ServiceContext, caller: ApiKey, key: str, reason: str) -> ApiKey:
    """End a key of the caller's project. Raises ``NotFoundError`` and ``StateConflictError``."""
    if not reason.isprintable():
        raise MalformedRequestError(
            "the reason is not a single line of text", cure="Use printable characters only."
        )
    found = service.kept.key(key)
    if found is None or found.project != caller.project:
        raise NotFoundError(
            f"there is no API key {key}", cure="List the API keys with GET /v1/keys."
        )
    if found.id == caller.id:
        raise StateConflictError(
            "an API key cannot revoke itself",
            cure=("Create another admin API key, and revoke this one with it."),
        )
    now = service.clock()
    kind = (
        AuditLogAction.AGENT_ENDED if found.role is AccessRole.AGENT else AuditLogAction.KEY_ENDED
    )
    act = build_log_entry(caller, kind, key, now, reason=reason)
    service.kept.end_key(key, now, reason, act)
    again = service.kept.key(key)
    return found if again is None else again


def _shown(key: ApiKey) -> KeyResponse:
    return KeyResponse(
        id=key.id,
        project=key.project,
        role=key.role,
        name=key.name,
        created=key.created,
        expires=key.expires,
        ended=key.ended,
    )
