"""Timeout for slow request bodies."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from auditor.errors import RequestTooSlowError
from auditor.service.api.auth import App, Receive, Scope, Send

GRACE, RATE = 30.0, 1024.0
"""Seconds that a call waits for its body, and bytes that give it back another one of these."""


@dataclass(frozen=True, slots=True)
class BodyTimeoutMiddleware:
    """Hands a body on while it comes at a fair pace. Raises ``RequestTooSlowError`` where it does
    not.

    Only the time counts in which somebody waits for more of it: how long the call itself takes, or
    what it sends, is nothing to this.
    """

    app: App
    grace: float = GRACE
    rate: float = RATE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the call on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, _TimedReceive(receive, self.grace, self.rate), send)


class _TimedReceive:
    """A body as it comes, and how long it may still take."""

    def __init__(self, receive: Receive, left: float, rate: float) -> None:
        self.receive = receive
        self.left = self.most = left
        self.rate = rate
        self.more = True

    async def __call__(self) -> MutableMapping[str, Any]:
        if not self.more:  # what comes now is that the caller hangs up, at any time
            return await self.receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self.left):
                message = await self.receive()
        except TimeoutError:
            raise RequestTooSlowError(
                "the request body arrives too slowly, or not at all",
                cure=f"Send the whole body, at {self.rate:.0f} bytes per second or faster.",
            ) from None
        earned = len(message.get("body", b"")) / self.rate
        self.left = min(self.most, self.left - (clock() - began) + earned)
        self.more = bool(message.get("more_body", False))
        return message
