"""Routes for the people who decide in a project: created, listed and revoked by an admin."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from auditor.errors import MalformedRequestError
from auditor.service.api.auth import Admin
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import build_openapi_extra, parse_json_body
from auditor.service.api.schemas import ReasonRequestBody
from auditor.service.api.schemas_people import (
    PERSON,
    PERSON_ID,
    PersonList,
    PersonRequestBody,
    PersonResponse,
)
from auditor.service.approvals.people import end_person, register_person
from auditor.service.domain.access import ApiKey
from auditor.service.domain.people import Person
from auditor.trust.signatures.keys import read_public_key

PersonId = Annotated[str, Path(pattern=PERSON, examples=[PERSON_ID])]
router = APIRouter(prefix="/v1/people", tags=["people"])


@router.post("", status_code=201, openapi_extra=build_openapi_extra(PersonRequestBody))
async def create_person(request: Request, caller: Admin, service: Served) -> PersonResponse:
    """Register a person who can decide in the project, with a signing key of their own."""
    asked = await parse_json_body(request, PersonRequestBody)
    return build_person_response(await run_in_threadpool(_named, service, caller, asked))


@router.get("")
def list_people(caller: Admin, service: Served) -> PersonList:
    """List the people of the project, oldest first, including those whose permission ended."""
    return PersonList(
        people=[build_person_response(it) for it in service.people.people.all(caller.project)]
    )


@router.post("/{person}/end", openapi_extra=build_openapi_extra(ReasonRequestBody))
async def revoke_person(
    person: PersonId, request: Request, caller: Admin, service: Served
) -> PersonResponse:
    """Revoke the signing permission of a person permanently. Their waivers and approvals no longer
    count; their rejections still do.
    """
    asked = await parse_json_body(request, ReasonRequestBody)
    if not asked.reason.isprintable():
        raise MalformedRequestError(
            "the reason is not a single line of text", cure="Use printable characters only."
        )
    return build_person_response(
        await run_in_threadpool(end_person, service.people, caller, person, asked.reason)
    )


def _named(service: ServiceContext, caller: ApiKey, asked: PersonRequestBody) -> Person:
    return register_person(
        service.people, caller, asked.name, asked.key, asked.may, caller=asked.caller
    )  # fmt: skip


def build_person_response(person: Person) -> PersonResponse:
    """Return a person as lists show one."""
    return PersonResponse(
        id=person.id,
        name=person.name,
        key=person.key,
        identity=read_public_key(person.key.encode()).identity,
        may=sorted(person.may),
        caller=person.caller,
        created=person.created,
        ended=person.ended,
        reason=person.reason,
    )
