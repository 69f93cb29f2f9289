"""The application: every route, behind the key that it asks for."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from auditor import __version__
from auditor.api.admitting import Admitted, AtLeast, Pages, is_open
from auditor.api.answers import ProblemShown
from auditor.api.limiting import Limited
from auditor.api.pacing import Paced
from auditor.api.parts import Service
from auditor.api.problems import MEDIA, install
from auditor.api.routes import (
    acts,
    agents,
    anonymous,
    audits,
    decisions,
    drafts,
    events,
    files,
    keys,
    leases,
    lookups,
    models,
    people,
    records,
    schedules,
    sealed_sets,
    uploads,
    webhooks,
)
from auditor.api.spanning import Spanned
from auditor.api.watching import Watched
from auditor.domain.api_keys import Role
from auditor.errors import BrokenCheckError

ABOUT = """Audits machine-learning models on their target and writes signed, verifiable records.

Upload what an audit file names under its digest, hand the audit in, follow its events, and fetch
its record. Every call wants `Authorization: Bearer auk_…`, but for health, public keys and the
ledger. A key reaches its own project alone."""
OWN = "/openapi.json"
"""The one route that the framework brings."""
PROBLEM: dict[str, Any] = {"description": "A problem (RFC 9457).", "content": {MEDIA: {
    "schema": ProblemShown.model_json_schema()}}}  # fmt: skip


def build_app(
    service: Service, pages: Pages | None = None, more: Sequence[APIRouter] = ()
) -> FastAPI:
    """Return the application of a service. A route that declares no role does not start.

    ``more`` are the routes of ``pages``.
    """
    app = FastAPI(
        title="auditor",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    install(app)
    app.add_middleware(Paced)
    app.add_middleware(Limited, service=service)
    app.add_middleware(Admitted, service=service, pages=pages)
    app.add_middleware(Watched, service=service)
    app.add_middleware(Spanned, service=service)
    for part in (*_routers(), *more):
        # As they are: what a framework makes of them later, nobody could look at here.
        app.router.routes.extend(part.routes)
    for route in app.routes:
        _refuse_unguarded(route, pages)
    return app


def _routers() -> Iterator[APIRouter]:
    yield anonymous.router
    yield uploads.routes()
    yield audits.router
    yield events.router
    yield files.router
    yield lookups.router
    yield keys.router
    yield acts.router
    yield people.router
    yield drafts.router
    yield decisions.routes()
    yield records.router
    yield agents.router
    yield leases.router
    yield schedules.router
    yield sealed_sets.router
    yield webhooks.router
    yield models.router


def _refuse_unguarded(route: BaseRoute, pages: Pages | None) -> None:
    """Raise ``BrokenCheckError`` for a route that does not say who may call it."""
    if isinstance(route, APIRoute):
        route.responses.setdefault("4XX", PROBLEM)
        anybody = is_open(route.path) or (pages is not None and pages.is_open(route.path))
        if len(roles_of(route)) != (0 if anybody else 1):
            raise BrokenCheckError(
                f"the route {route.path} declares no role, or several", cure="Let it declare one."
            )
    elif getattr(route, "path", "") != OWN:
        raise BrokenCheckError(f"{route} is no route of ours", cure="Remove it.")


def roles_of(route: APIRoute) -> Sequence[Role]:
    """Return the least roles that a route declares."""
    needed = (item.call for item in route.dependant.dependencies)
    return [call.role for call in needed if isinstance(call, AtLeast)]
