"""ASGI middleware for the access log, response headers, unhandled errors, and tracing spans.

A span contains the route, never the path, query, headers or body.
"""

import re
import secrets
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from auditor.domain.json import Json
from auditor.service.api.auth import CALLER, App, Receive, Scope, Send
from auditor.service.api.context import ServiceContext
from auditor.service.api.errors import BROKEN, CALL, build_error_response
from auditor.service.domain.access import ApiKey
from auditor.service.domain.submissions import ID

ABOUT = "auditor.submission"
"""Where a route that makes a submission says which, for the log."""
ELSEWHERE = "(none)"
GONE = 499
"""How a call stands in the log whose line broke before it had been sent."""
SECURE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
}
"""Set on every answer, where it does not say otherwise itself."""
VERB = re.compile(r"[A-Z]{1,16}")


class AccessLogMiddleware:
    """Writes one line a call, counts it, sets headers, and answers what nobody else caught.

    A line names the route and never the path, the query, a header or a body.
    """

    def __init__(self, app: App, service: ServiceContext) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the call on, and write down what became of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _ResponseSender(send, secrets.token_hex(8))
        scope[CALL] = answer.id
        began = time.perf_counter()
        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            # No fault of ours, and nobody is there to be told.
            answer.status = answer.status or GONE
        except Exception as error:  # noqa: BLE001 -- the last door: no stack trace leaves
            if not answer.status:
                request = Request(scope, receive)
                await build_error_response(request, error)(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - began
            found = getattr(scope.get("route"), "path", None)
            route = found if isinstance(found, str) else ELSEWHERE
            method = read_method(scope)
            status = answer.status or int(BROKEN)
            self.service.meter.count(method, route, status, seconds)
            caller = scope.get(CALLER)
            line: dict[str, Json] = {
                "event": "call",
                "at": self.service.clock(),
                "id": answer.id,
                "method": method,
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
                "bytes": answer.bytes,
                "caller": caller.id if isinstance(caller, ApiKey) else None,
                "project": caller.project if isinstance(caller, ApiKey) else None,
                "audit": find_audit_id(scope),
            }
            self.service.log(line)


class _ResponseSender:
    """What is sent back, with the headers that every answer has."""

    def __init__(self, send: Send, name: str) -> None:
        self.send = send
        self.id = name
        self.status = 0
        self.bytes = 0

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, said in SECURE.items():
                headers.setdefault(name, said)
            headers["X-Request-Id"] = self.id
        self.bytes += len(message.get("body", b""))
        await self.send(message)


def read_method(scope: Scope) -> str:
    """Return a call's verb, if it is a word."""
    found: str = scope["method"]
    return found if VERB.fullmatch(found) else ELSEWHERE


def find_audit_id(scope: Scope) -> str | None:
    """Return the id of the audit that a call is about, if it is about one."""
    named = scope.get(ABOUT) or scope.get("path_params", {}).get("audit")
    return named if isinstance(named, str) and ID.fullmatch(named) else None


class TracingMiddleware:
    """Spans every call, under the trace that its caller says it belongs to."""

    def __init__(self, app: App, service: ServiceContext) -> None:
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
            method, caller = read_method(scope), scope.get(CALLER)
            mark.named(f"{method} {route}" if isinstance(route, str) else "HTTP")
            mark.say(http_request_method=method, http_route=route, auditor_call=scope.get(CALL))
            mark.say(http_response_status__code=status or None, auditor_audit=find_audit_id(scope))
            if isinstance(caller, ApiKey):
                mark.say(auditor_caller=caller.id, auditor_project=caller.project)
            if status >= BROKEN:
                mark.failed()
