"""People who decide in a project: named, listed, and ended by an admin."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Admin
from auditor.api.decided import PERSON, PERSON_ID, PersonAsked, PersonList, PersonShown
from auditor.api.parts import Served, Service
from auditor.api.reading import body_of
from auditor.api.shapes import EndAsked
from auditor.api.showing import documented
from auditor.domain.api_keys import ApiKey
from auditor.domain.people import Person
from auditor.people.naming import end_person, name_person
from auditor.refusals import CallError
from auditor.signatures.keys import read_public_key

PersonId = Annotated[str, Path(pattern=PERSON, examples=[PERSON_ID])]
router = APIRouter(prefix="/v1/people", tags=["people"])


@router.post("", status_code=201, openapi_extra=documented(PersonAsked))
async def name(request: Request, caller: Admin, service: Served) -> PersonShown:
    """Let a person decide in the project, by a key of their own that signs nothing else."""
    asked = await body_of(request, PersonAsked)
    return shown(await run_in_threadpool(_named, service, caller, asked))


@router.get("")
def listed(caller: Admin, service: Served) -> PersonList:
    """List the project's people, the oldest first, those who decide no more too."""
    return PersonList(people=[shown(it) for it in service.people.people.all(caller.project)])


@router.post("/{person}/end", openapi_extra=documented(EndAsked))
async def end(person: PersonId, request: Request, caller: Admin, service: Served) -> PersonShown:
    """End a person's leave for good: their waivers and their yes count no more, a no still does."""
    asked = await body_of(request, EndAsked)
    if not asked.reason.isprintable():
        raise CallError("the reason is not one line", cure="Give it in printable signs.")
    return shown(await run_in_threadpool(end_person, service.people, caller, person, asked.reason))


def _named(service: Service, caller: ApiKey, asked: PersonAsked) -> Person:
    return name_person(
        service.people, caller, asked.name, asked.key, asked.may, caller=asked.caller
    )  # fmt: skip


def shown(person: Person) -> PersonShown:
    """Return a person as lists show one."""
    return PersonShown(
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
