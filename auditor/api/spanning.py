"""A span a call, with its route and never its path, query, headers or body."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers

from auditor.api.admitting import CALLER, App, Receive, Scope, Send
from auditor.api.parts import Service
from auditor.api.problems import BROKEN, CALL
from auditor.api.watching import about, verb_of
from auditor.domain.api_keys import ApiKey


class Spanned:
    """Spans every call, under the trace that its caller says it belongs to."""

    def __init__(self, app: App, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the call on, and say what became of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with self.service.spans.span("HTTP", Headers(scope=scope)) as mark:
            await self.app(scope, receive, answer)
            route = getattr(scope.get("route"), "path", None)
            method, caller = verb_of(scope), scope.get(CALLER)
            mark.named(f"{method} {route}" if isinstance(route, str) else "HTTP")
            mark.say(http_request_method=method, http_route=route, auditor_call=scope.get(CALL))
            mark.say(http_response_status__code=status or None, auditor_audit=about(scope))
            if isinstance(caller, ApiKey):
                mark.say(auditor_caller=caller.id, auditor_project=caller.project)
            if status >= BROKEN:
                mark.failed()
