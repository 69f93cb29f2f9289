"""Routes whose responses are cached by project and role, until the store changes."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import FileResponse, StreamingResponse

from auditor.service.api.auth import CALLER, MARK
from auditor.service.api.context import get_service
from auditor.service.domain.access import ApiKey

F = TypeVar("F", bound=Callable[..., object])
HEADERS = "auditor_headers"
OK = 200
Answering = Callable[[Request], Coroutine[Any, Any, Response]]


def cache_response(*headers: str) -> Callable[[F], F]:
    """Mark a route whose answer rests on nothing but the store, the time, the caller's project and
    role, the address, and the ``headers`` named: for a moment it answers as it did.
    """

    def marked(endpoint: F) -> F:
        setattr(endpoint, HEADERS, headers)
        return endpoint

    return marked


class CachedRoute(APIRoute):
    """A route that answers from memory, where it is marked for that."""

    def get_route_handler(self) -> Answering:
        """Return what answers a call."""
        inner = super().get_route_handler()
        headers: tuple[str, ...] | None = getattr(self.endpoint, HEADERS, None)
        if headers is None:
            return inner
        return partial(_answered, inner, headers)


async def _answered(inner: Answering, headers: tuple[str, ...], request: Request) -> Response:
    scope, service = request.scope, get_service(request)
    caller, mark = scope.get(CALLER), scope.get(MARK)
    if not isinstance(caller, ApiKey) or mark is None:
        return await inner(request)
    said = tuple(request.headers.get(name) for name in headers)
    name = (caller.project, caller.role, scope["path"], scope["query_string"], said)
    found = await service.answers.of(name, mark, partial(inner, request), _is_whole)
    if _is_whole(found):
        # An answer like one that is kept: who sends it adds headers of that call
        fresh = Response(found.body, found.status_code)
        fresh.raw_headers = list(found.raw_headers)
        return fresh
    return found


def _is_whole(answer: Response) -> bool:
    """Whether an answer is all there, and good: what is sent as it is read cannot be kept."""
    streams = isinstance(answer, FileResponse | StreamingResponse)
    return answer.status_code == OK and not streams and answer.background is None
