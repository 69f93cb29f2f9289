"""Routes of pages: forms are checked before a page sees them, and people read what went wrong."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from auditor.api.problems import BROKEN, CALL, TABLE, fault
from auditor.errors import AuditorError
from auditor.refusals import NotFoundError
from auditor.web.forms import FORM, checked_form
from auditor.web.looking import show

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # Under `no-referrer` a browser names no origin with a form, and the form would be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Set on every page that does not say otherwise itself."""
POST = "POST"
LOST = 404
ELSEWHERE = "Choose one from a list. What another project has is not there."
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route that is opened in a browser."""

    def get_route_handler(self) -> Handler:
        """Return what answers a call, whatever happens."""
        inner = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                if request.method == POST:
                    request.scope[FORM] = await checked_form(request)
                answer = await inner(request)
            except Exception as error:  # noqa: BLE001 -- people read no problem documents
                answer = _told(request, error)
            return guarded(answer)

        return answered


def guarded(answer: Response) -> Response:
    """Set the headers that every page has."""
    for name, said in HEADERS.items():
        answer.headers.setdefault(name, said)
    return answer


def no_page(request: Request, status: int) -> Response:
    """Return the page for an address at which there is none, or none for such a call."""
    problem = f"{request.scope['path']} is no page, or asks for something that there is not"
    return guarded(show(request, "problem", status=status, title="There is no such page",
                        problem=problem, cure="Follow a link from another page."))  # fmt: skip


def routes() -> APIRouter:
    """Return where a part of the pages puts its routes; they are no part of the API's documents."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def _told(request: Request, error: Exception) -> Response:
    """Return the page for an error; the service's own faults go to its log, and are not told."""
    if isinstance(error, RequestValidationError):
        return no_page(request, LOST)
    slug = error.slug if isinstance(error, AuditorError) else "error"
    status, title = TABLE[slug]
    if isinstance(error, AuditorError) and status < BROKEN:
        cure = ELSEWHERE if isinstance(error, NotFoundError) else error.cure
        return show(
            request, "problem", status=int(status), title=title, problem=error.problem, cure=cure
        )
    request.app.state.service.log(fault(error, request.scope.get(CALL)))
    problem = "The service could not make this page; its log says why."
    return show(request, "problem", status=int(status), title=title, problem=problem,
                cure="Try again later, or tell who runs the service.")  # fmt: skip
