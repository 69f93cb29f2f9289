"""How often a caller may call: counted before anything is done, and told with every answer."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders

from auditor.api.admitting import CALLER, App, Receive, Scope, Send, peer_of
from auditor.api.parts import Service
from auditor.domain.api_keys import ApiKey
from auditor.rationing import Left

FREE = frozenset({"/healthz", "/readyz", "/metrics", "/login"})
"""What is asked by whoever watches over the service, who is never told to wait; and where people
log in, who cannot show before by what key they call: only keys that do not hold are counted."""


class Limited:
    """Hands on as many calls of a caller as it has left; without a key, of its address.

    Raises ``TooManyError``.
    """

    def __init__(self, app: App, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the call, and hand it on."""
        if scope["type"] != "http" or scope["path"] in FREE:
            await self.app(scope, receive, send)
            return
        left = self.service.rationing.call(who_calls(scope), scope["method"])
        await self.app(scope, receive, send if left is None else _Told(send, left))


def who_calls(scope: Scope) -> str:
    """Return what calls of a caller are counted under."""
    caller = scope.get(CALLER)
    return f"key {caller.id}" if isinstance(caller, ApiKey) else peer_of(scope)


class _Told:
    """What is sent back, with what is left."""

    def __init__(self, send: Send, left: Left) -> None:
        self.send = send
        self.left = left

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers, left = MutableHeaders(scope=message), self.left
            headers["RateLimit-Policy"] = f'"{left.name}";q={left.most};w={left.window}'
            headers.setdefault("RateLimit", f'"{left.name}";r={left.left};t={left.seconds}')
        await self.send(message)
