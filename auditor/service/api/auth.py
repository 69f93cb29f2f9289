"""Authentication and authorization of API calls: API keys, roles, and browser sessions.

A session is a random id in a cookie that stands for a valid API key.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from auditor.errors import ForbiddenError, UnauthorizedError
from auditor.service.api.context import ServiceContext
from auditor.service.auth.api_keys import CURE, authenticate_key, hash_secret, require_valid_key
from auditor.service.auth.oidc import is_token
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.rate_limits import normalize_address
from auditor.store.cache_validation import Mark

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/auditor-keys"})
OPEN_BELOW = "/v1/ledger/"
"""What anybody may read without a key; everything else wants one, whether it exists or not."""
CALLER, MARK = "auditor.caller", "auditor.mark"
"""Where stand who calls, and the mark of the store since the call came."""


class PageGuard(Protocol):
    """What people open in a browser: that takes a session and no key, all else a key."""

    def covers(self, scope: Scope) -> bool:
        """Whether a call is for a page, also for one that there is not."""

    def is_open(self, path: str) -> bool:
        """Whether anybody may open it."""

    def admit(self, scope: Scope) -> App | None:
        """Put the caller of a session that holds into ``scope``, or answer in place of the page."""


class AuthMiddleware:
    """Lets a call through with a key that holds, or to what is open to anybody.

    Raises ``UnauthorizedError`` before anything else is looked at, and ``RateLimitError`` in its
    place where an address shows too many keys that do not hold.
    """

    def __init__(self, app: App, service: ServiceContext, pages: PageGuard | None = None) -> None:
        self.app = app
        self.service = service
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the key, and hand the call on."""
        if scope["type"] == "http" and self.pages and self.pages.covers(scope):
            instead = await run_in_threadpool(self.pages.admit, scope)
            await (instead or self.app)(scope, receive, send)
            return
        if scope["type"] == "http" and not is_public_path(scope["path"]):
            shown = Headers(scope=scope).getlist("authorization")
            try:
                text = read_bearer_token(shown)
                scope[MARK] = mark = await self.service.mark()
                scope[CALLER] = await self._caller(text, mark)
            except UnauthorizedError:
                # Behind a proxy all have one address: who shows a key that holds is never refused
                # for what others from there do.
                self.service.rationing.failure(build_peer_key(scope))
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
        look = partial(run_in_threadpool, authenticate_key, text, service.kept.key, now)
        caller = await service.callers.of(hash_secret(text), ended, look)
        require_valid_key(caller, now)
        return caller


def is_public_path(path: str) -> bool:
    """Whether anybody may call a path."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def build_peer_key(scope: Scope) -> str:
    """Return what calls from an address are counted under."""
    peer = scope.get("client")
    return f"address {normalize_address(peer[0] if peer else None)}"


def read_bearer_token(shown: list[str]) -> str:
    """Return the token of the one ``Authorization`` header. Raises ``UnauthorizedError``."""
    scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise UnauthorizedError("this request has no valid API key", cure=CURE)
    return token.strip()


@dataclass(frozen=True, slots=True)
class RoleRequirement:
    """The least role that a route declares. Raises ``ForbiddenError`` for a lesser one."""

    role: AccessRole

    async def __call__(self, request: Request) -> ApiKey:
        """Return the caller's key."""
        caller = request.scope.get(CALLER)
        if not isinstance(caller, ApiKey):
            raise UnauthorizedError("this request has no valid API key", cure=CURE)
        if not caller.role.may(self.role):
            raise ForbiddenError(
                f"your role ({caller.role}) cannot do this",
                cure=f"Ask an admin of the project for the role {self.role}.",
            )
        return caller


Viewer = Annotated[ApiKey, Depends(RoleRequirement(AccessRole.VIEWER))]
Submitter = Annotated[ApiKey, Depends(RoleRequirement(AccessRole.SUBMITTER))]
Approver = Annotated[ApiKey, Depends(RoleRequirement(AccessRole.APPROVER))]
Admin = Annotated[ApiKey, Depends(RoleRequirement(AccessRole.ADMIN))]
AgentKey = Annotated[ApiKey, Depends(RoleRequirement(AccessRole.AGENT))]


LONGEST, IDLE = 12 * 3600.0, 3600.0
"""Seconds after which a session ends, in all and without a call."""
MOST_OF_A_KEY, MOST = 20, 10_000
"""So many sessions at once, of one key and in all; the one used longest ago gives way."""
RANDOM = 32
SECURE, PLAIN = "__Host-auditor-session", "auditor-session"
"""The cookie's name where the page came by HTTPS, and where it did not."""
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Somebody at a browser: whose key it is, what its forms must show, where it was begun.

    ``origin`` is the service's address as that browser calls it.
    """

    key: str
    token: str
    origin: str
    began: float

    @property
    def secure(self) -> bool:
        """Whether the pages come by HTTPS, so that the cookie may go by nothing else."""
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of its cookie."""
        return SECURE if self.secure else PLAIN


class SessionStore:
    """The sessions of one process: they end with it, and of an id only a digest is held."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[BrowserSession, float]] = OrderedDict()

    def begin(self, key: str, origin: str) -> tuple[str, BrowserSession]:
        """Begin a session of a key, and return its id, which only its cookie holds, and it."""
        named, now = secrets.token_urlsafe(RANDOM), self._clock()
        session = BrowserSession(key, secrets.token_urlsafe(RANDOM), origin, now)
        with self._lock:
            own = [name for name, (held, _) in self._held.items() if held.key == key]
            for name in own[: max(0, len(own) - MOST_OF_A_KEY + 1)]:
                del self._held[name]
            while len(self._held) >= MOST:
                self._held.popitem(last=False)
            self._held[_hashed(named)] = session, now
        return named, session

    def find(self, named: str) -> BrowserSession | None:
        """Return the session of an id, unless it has ended; it was used now."""
        name, now = _hashed(named), self._clock()
        with self._lock:
            session, used = self._held.pop(name, (None, 0.0))
            if session is None or now - session.began >= LONGEST or now - used >= IDLE:
                return None
            self._held[name] = session, now
        return session

    def end(self, named: str) -> None:
        """End a session, if there is one of that id."""
        with self._lock:
            self._held.pop(_hashed(named), None)


def _hashed(named: str) -> str:
    return hashlib.sha256(named.encode(errors="replace")).hexdigest()
