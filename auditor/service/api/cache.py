"""Routes whose answers are remembered: each project's and role's own, until the store changes."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import FileResponse, StreamingResponse

from auditor.service.api.auth import BESIDE, CALLER, MARK
from auditor.service.api.context import get_service
from auditor.service.domain.access import ApiKey

F = TypeVar("F", bound=Callable[..., object])
HEADERS, UNDER = "auditor_headers", "auditor_under"
OK = 200
Answering = Callable[[Request], Coroutine[Any, Any, Response]]


def cache_response(*headers: str, progress: bool = True) -> Callable[[F], F]:
    """Mark a route whose answer rests on nothing but the store, the time, the caller's project and
    role, the address, and the ``headers`` named: for a moment it answers as it did.

    Without ``progress`` it rests neither on what checks saw nor on what they tell while they run.
    """

    def marked(endpoint: F) -> F:
        setattr(endpoint, HEADERS, headers)
        setattr(endpoint, UNDER, MARK if progress else BESIDE)
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
        return partial(_answered, inner, headers, getattr(self.endpoint, UNDER))


async def _answered(
    inner: Answering, headers: tuple[str, ...], under: str, request: Request
) -> Response:
    scope, service = request.scope, get_service(request)
    caller, mark = scope.get(CALLER), scope.get(under)
    if not isinstance(caller, ApiKey) or mark is None:
        return await inner(request)
    said = tuple(request.headers.get(name) for name in headers)
    name = (caller.project, caller.role, scope["path"], scope["query_string"], said)
    found = await service.answers.of(name, mark, partial(inner, request), _is_whole)
    return _again(found) if _is_whole(found) else found


def _is_whole(answer: Response) -> bool:
    """Whether an answer is all there, and good: what is sent as it is read cannot be kept."""
    streams = isinstance(answer, FileResponse | StreamingResponse)
    return answer.status_code == OK and not streams and answer.background is None


def _again(answer: Response) -> Response:
    """Return an answer like one that is kept: who sends it adds headers of that call."""
    fresh = Response(answer.body, answer.status_code)
    fresh.raw_headers = list(answer.raw_headers)
    return fresh
