"""Rate limits of callers: middleware that counts calls and states the limit in each response."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders

from auditor.service.api.auth import CALLER, App, Receive, Scope, Send, build_peer_key
from auditor.service.api.context import ServiceContext
from auditor.service.domain.access import ApiKey
from auditor.service.rate_limits import RateLimitState

FREE = frozenset({"/healthz", "/readyz", "/metrics", "/login"})
"""Paths that monitoring calls without a limit, and the login, which has no key to count by yet:
there only keys that are not valid count."""


class RateLimitMiddleware:
    """Hands on as many calls of a caller as it has left; without a key, of its address.

    Raises ``RateLimitError``.
    """

    def __init__(self, app: App, service: ServiceContext) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the call, and hand it on."""
        if scope["type"] != "http" or scope["path"] in FREE:
            await self.app(scope, receive, send)
            return
        left = self.service.rationing.call(build_caller_key(scope), scope["method"])
        await self.app(scope, receive, send if left is None else _RateLimitHeaders(send, left))


def build_caller_key(scope: Scope) -> str:
    """Return what calls of a caller are counted under."""
    caller = scope.get(CALLER)
    return f"key {caller.id}" if isinstance(caller, ApiKey) else build_peer_key(scope)


class _RateLimitHeaders:
    """What is sent back, with what is left."""

    def __init__(self, send: Send, left: RateLimitState) -> None:
        self.send = send
        self.left = left

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers, left = MutableHeaders(scope=message), self.left
            headers["RateLimit-Policy"] = f'"{left.name}";q={left.most};w={left.window}'
            headers.setdefault("RateLimit", f'"{left.name}";r={left.left};t={left.seconds}')
        await self.send(message)
