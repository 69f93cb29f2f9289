"""The API application: every route, behind the authorization that it requires."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

import auditor.service.api.routes
from auditor import __version__
from auditor.errors import BrokenCheckError
from auditor.service.api.access_log import AccessLogMiddleware, TracingMiddleware
from auditor.service.api.auth import AuthMiddleware, PageGuard, RoleRequirement, is_public_path
from auditor.service.api.body_timeout import BodyTimeoutMiddleware
from auditor.service.api.context import ServiceContext
from auditor.service.api.errors import MEDIA, install_error_handlers
from auditor.service.api.rate_limit import RateLimitMiddleware
from auditor.service.api.schemas import ProblemResponse
from auditor.service.domain.access import AccessRole

ABOUT = (
    "Audits machine-learning models on their target and writes signed, verifiable "
    "records. Upload the files that an audit file names, submit the audit, follow "
    "its events, and download its record. Send `Authorization: Bearer auk_…` with "
    "every request, except for health, public keys and the ledger. An API key "
    "gives access to its own project only."
)
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
    shown = [route for part in more for route in part.routes]
    # As they are: what a framework makes of them later, nobody could look at here.
    app.router.routes.extend([*list_api_routes(), *shown])
    for route in app.routes:
        _refuse_unguarded(route, pages)
    return app


def list_api_routes() -> Sequence[BaseRoute]:
    """Return the routes of every module of ``routes``, found because it is there.

    Of two that fit an address the one that names more of it comes first. Raises
    ``BrokenCheckError`` for a module without a ``router``.
    """
    package, found = auditor.service.api.routes, list[BaseRoute]()
    for item in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        router = vars(importlib.import_module(item.name)).get("router")
        if not isinstance(router, APIRouter):
            raise BrokenCheckError(f"{item.name} has no router", cure="Let it make an APIRouter.")
        found += router.routes
    return sorted(found, key=_specific_first)


def _specific_first(route: BaseRoute) -> list[tuple[bool, str]]:
    path = route.path if isinstance(route, APIRoute) else ""
    return [("{" in part, part) for part in path.split("/")]


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
        raise BrokenCheckError(f"{route} is not a route of ours", cure="Remove it.")


def list_route_roles(route: APIRoute) -> Sequence[AccessRole]:
    """Return the least roles that a route declares."""
    needed = (item.call for item in route.dependant.dependencies)
    return [call.role for call in needed if isinstance(call, RoleRequirement)]
