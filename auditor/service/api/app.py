"""The application: every route, behind the key that it asks for."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from auditor import __version__
from auditor.errors import BrokenCheckError
from auditor.service.api.access_log import AccessLogMiddleware, TracingMiddleware
from auditor.service.api.auth import AuthMiddleware, PageGuard, RoleRequirement, is_public_path
from auditor.service.api.body_timeout import BodyTimeoutMiddleware
from auditor.service.api.context import ServiceContext
from auditor.service.api.errors import MEDIA, install_error_handlers
from auditor.service.api.rate_limit import RateLimitMiddleware
from auditor.service.api.routes import (
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
from auditor.service.api.schemas import ProblemResponse
from auditor.service.domain.access import AccessRole

ABOUT = """Audits machine-learning models on their target and writes signed, verifiable records.

Upload what an audit file names under its digest, hand the audit in, follow its events, and fetch
its record. Every call wants `Authorization: Bearer auk_…`, but for health, public keys and the
ledger. A key reaches its own project alone."""
OWN = "/openapi.json"
"""The one route that the framework brings."""
PROBLEM: dict[str, Any] = {"description": "A problem (RFC 9457).", "content": {MEDIA: {
    "schema": ProblemResponse.model_json_schema()}}}  # fmt: skip


def build_app(
    service: ServiceContext, pages: PageGuard | None = None, more: Sequence[APIRouter] = ()
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
    install_error_handlers(app)
    app.add_middleware(BodyTimeoutMiddleware)
    app.add_middleware(RateLimitMiddleware, service=service)
    app.add_middleware(AuthMiddleware, service=service, pages=pages)
    app.add_middleware(AccessLogMiddleware, service=service)
    app.add_middleware(TracingMiddleware, service=service)
    for part in (*_routers(), *more):
        # As they are: what a framework makes of them later, nobody could look at here.
        app.router.routes.extend(part.routes)
    for route in app.routes:
        _refuse_unguarded(route, pages)
    return app


def _routers() -> Iterator[APIRouter]:
    yield anonymous.router
    yield uploads.add_upload_routes()
    yield audits.router
    yield events.router
    yield files.router
    yield lookups.router
    yield keys.router
    yield acts.router
    yield people.router
    yield drafts.router
    yield decisions.add_decision_routes()
    yield records.router
    yield agents.router
    yield leases.router
    yield schedules.router
    yield sealed_sets.router
    yield webhooks.router
    yield models.router


def _refuse_unguarded(route: BaseRoute, pages: PageGuard | None) -> None:
    """Raise ``BrokenCheckError`` for a route that does not say who may call it."""
    if isinstance(route, APIRoute):
        route.responses.setdefault("4XX", PROBLEM)
        anybody = is_public_path(route.path) or (pages is not None and pages.is_open(route.path))
        if len(list_route_roles(route)) != (0 if anybody else 1):
            raise BrokenCheckError(
                f"the route {route.path} declares no role, or several", cure="Let it declare one."
            )
    elif getattr(route, "path", "") != OWN:
        raise BrokenCheckError(f"{route} is no route of ours", cure="Remove it.")


def list_route_roles(route: APIRoute) -> Sequence[AccessRole]:
    """Return the least roles that a route declares."""
    needed = (item.call for item in route.dependant.dependencies)
    return [call.role for call in needed if isinstance(call, RoleRequirement)]
