"""Web application of the service: pages and API in one app, with session checks."""

from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from auditor.service.api.app import build_app
from auditor.service.api.auth import (
    CALLER,
    PLAIN,
    SECURE,
    App,
    BrowserSession,
    Scope,
    SessionStore,
    is_public_path,
)
from auditor.service.api.context import ServiceContext
from auditor.service.api.errors import build_status_response
from auditor.service.domain.access import ApiKey
from auditor.service.store.audit_queries import AuditListQueries, LatestRecordQueries
from auditor.service.web.comparison_cache import ComparisonCache
from auditor.service.web.record_facts import RecordFactsCache
from auditor.service.web.routing import SESSION, build_page_url, list_page_entries, render_not_found


@dataclass(frozen=True, slots=True)
class WebContext:
    """The pages of one process."""

    service: ServiceContext
    sessions: SessionStore
    facts: RecordFactsCache = field(default_factory=RecordFactsCache)
    comparisons: ComparisonCache = field(default_factory=ComparisonCache)

    @property
    def overviews(self) -> AuditListQueries:
        """Looks over audits."""
        return AuditListQueries(self.service.kept)

    @property
    def latest(self) -> LatestRecordQueries:
        """Looks for the newest records."""
        return LatestRecordQueries(self.service.kept)


def get_web_context(request: Request) -> WebContext:
    """Return the pages that an application was built with."""
    found = request.app.state.site
    if not isinstance(found, WebContext):
        raise TypeError("an application with pages is built by build_site")
    return found


def get_session(request: Request) -> BrowserSession:
    """Return the session of a call that was let in to a page."""
    found = request.scope.get(SESSION)
    if not isinstance(found, BrowserSession):
        raise TypeError("a page is behind the door, which puts its session there")
    return found


Shown = Annotated[WebContext, Depends(get_web_context)]
Visit = Annotated[BrowserSession, Depends(get_session)]


LOGIN, STATIC, API = "/login", "/static/", "/v1"
HTML = "text/html"
SEE_OTHER, NOTHING = 303, 204
ASKS, LEADS = "HX-Request", "HX-Redirect"
"""By these a page's script says that it asks, and hears where to go instead."""


def build_site(service: ServiceContext) -> FastAPI:
    """Return the application of a service with its pages."""
    site = WebContext(service, SessionStore())
    door = SessionGuard(site)
    app = build_app(service, door, [entry.router for entry in list_page_entries()])
    app.state.site = site

    def lost(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and door.covers(request.scope):
            return render_not_found(request, error.status_code)
        return build_status_response(request, error)

    app.add_exception_handler(HTTPException, lost)
    return app


class SessionGuard:
    """Lets a session in to the pages, and nobody else further than to log in."""

    def __init__(self, site: WebContext) -> None:
        self.site = site
        self._firsts = {entry.first for entry in list_page_entries()}

    def covers(self, scope: Scope) -> bool:
        """Whether a path is that of a page, or nobody's and a browser asks for a page there.

        Whoever asks for no page, as callers of the API do, is told there what the API tells.
        """
        path = scope["path"]
        if not path.startswith("/"):
            return False
        asks = HTML in Headers(scope=scope).get("accept", "")
        return path.split("/")[1] in self._firsts or (
            asks and not (is_public_path(path) or path == API or path.startswith(f"{API}/"))
        )

    def is_open(self, path: str) -> bool:
        """Whether anybody may open it."""
        return path == LOGIN or path.startswith(STATIC)

    def admit(self, scope: Scope) -> App | None:
        """Put the session and its key into ``scope``; without one lead to where one begins."""
        # The address as the framework joins it holds the Host header, which callers choose.
        path, request = scope["path"], Request(scope)
        found = None if (path, request.method) == (LOGIN, "POST") else self._found(request)
        if found is not None:
            scope[SESSION], scope[CALLER] = found
            return None
        if self.is_open(path):
            return None
        if ASKS in request.headers:
            return Response(status_code=NOTHING, headers={LEADS: LOGIN})
        again = build_page_url(request)
        goes_on = request.method == "GET" and again != "/"
        where = f"{LOGIN}?next={quote(again, safe='')}" if goes_on else LOGIN
        return RedirectResponse(where, SEE_OTHER)

    def _found(self, request: Request) -> tuple[BrowserSession, ApiKey] | None:
        """Return a session whose key still holds; both are looked up at each call."""
        named = read_session_id(request)
        session = self.site.sessions.find(named) if named else None
        if session is None:
            return None
        service = self.site.service
        key = service.kept.key(session.key)
        if key is None or not key.holds(service.clock()):
            self.site.sessions.end(named)
            return None
        return session, key


def read_session_id(request: Request) -> str:
    """Return the id of a session that a browser shows, or nothing."""
    cookies = request.cookies
    return cookies.get(SECURE) or cookies.get(PLAIN) or ""
