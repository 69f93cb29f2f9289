"""Who may call what: a key of the service, and the least role that a route declares."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from auditor.api.parts import Service
from auditor.callers import CURE, caller_of, hash_of, require_holding
from auditor.domain.api_keys import ApiKey, Role
from auditor.rationing import address_of
from auditor.refusals import ForbiddenError, UnauthorizedError
from auditor.store.changes import Mark
from auditor.store.last_rows import LastRows
from auditor.tokens.bearing import is_token

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/auditor-keys"})
OPEN_BELOW = "/v1/ledger/"
"""What anybody may read without a key; everything else wants one, whether it exists or not."""
CALLER, MARK, BESIDE = "auditor.caller", "auditor.mark", "auditor.beside"
"""Where stand who calls, and the marks of the store since the call came: of all of it, and of all
beside the progress of checks."""


class Pages(Protocol):
    """What people open in a browser: that takes a session and no key, all else a key."""

    def covers(self, scope: Scope) -> bool:
        """Whether a call is for a page, also for one that there is not."""

    def is_open(self, path: str) -> bool:
        """Whether anybody may open it."""

    def admit(self, scope: Scope) -> App | None:
        """Put the caller of a session that holds into ``scope``, or answer in place of the page."""


class Admitted:
    """Lets a call through with a key that holds, or to what is open to anybody.

    Raises ``UnauthorizedError`` before anything else is looked at, and ``TooManyError`` in its
    place where an address shows too many keys that do not hold.
    """

    def __init__(self, app: App, service: Service, pages: Pages | None = None) -> None:
        self.app = app
        self.service = service
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the key, and hand the call on."""
        if scope["type"] == "http" and self.pages and self.pages.covers(scope):
            instead = await run_in_threadpool(self.pages.admit, scope)
            await (instead or self.app)(scope, receive, send)
            return
        if scope["type"] == "http" and not is_open(scope["path"]):
            shown = Headers(scope=scope).getlist("authorization")
            try:
                text = bearer(shown)
                scope[MARK] = mark = await self.service.mark()
                scope[BESIDE] = beside = self.service.store.mark_rows(mark, LastRows)
                scope[CALLER] = await self._caller(text, beside)
            except UnauthorizedError:
                # Behind a proxy all have one address: who shows a key that holds is never refused
                # for what others from there do.
                self.service.rationing.failure(peer_of(scope))
                raise
        await self.app(scope, receive, send)

    async def _caller(self, text: str, mark: Mark) -> ApiKey:
        """Return whom a key, or a token of an identity provider that is believed, speaks of.

        A key that held once holds until its time is over, or until any key was ended: keys and
        their ends are only ever added.
        """
        service = self.service
        if service.tokens is not None and is_token(text):
            return await run_in_threadpool(service.tokens.caller_of, text)
        count = partial(run_in_threadpool, service.kept.ended_keys)
        ended = await service.ended.of("keys", mark, count)
        now = service.clock()
        look = partial(run_in_threadpool, caller_of, text, service.kept.key, now)
        caller = await service.callers.of(hash_of(text), ended, look)
        require_holding(caller, now)
        return caller


def is_open(path: str) -> bool:
    """Whether anybody may call a path."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def peer_of(scope: Scope) -> str:
    """Return what calls from an address are counted under."""
    peer = scope.get("client")
    return f"address {address_of(peer[0] if peer else None)}"


def bearer(shown: list[str]) -> str:
    """Return the token of the one ``Authorization`` header. Raises ``UnauthorizedError``."""
    scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise UnauthorizedError("this call shows no key of the service", cure=CURE)
    return token.strip()


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The least role that a route declares. Raises ``ForbiddenError`` for a lesser one."""

    role: Role

    async def __call__(self, request: Request) -> ApiKey:
        """Return the caller's key."""
        caller = request.scope.get(CALLER)
        if not isinstance(caller, ApiKey):
            raise UnauthorizedError("this call shows no key of the service", cure=CURE)
        if not caller.role.may(self.role):
            raise ForbiddenError(
                f"this takes the role {self.role}, and the key {caller.id} has {caller.role}",
                cure="Ask an admin of the project for a key of that role.",
            )
        return caller


Viewer = Annotated[ApiKey, Depends(AtLeast(Role.VIEWER))]
Submitter = Annotated[ApiKey, Depends(AtLeast(Role.SUBMITTER))]
Approver = Annotated[ApiKey, Depends(AtLeast(Role.APPROVER))]
Admin = Annotated[ApiKey, Depends(AtLeast(Role.ADMIN))]
AgentKey = Annotated[ApiKey, Depends(AtLeast(Role.AGENT))]
