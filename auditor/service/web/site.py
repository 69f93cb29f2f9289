"""The pages as a whole: who may open them, and the application that serves them with the API."""

from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from auditor.api.admitting import CALLER, App, Scope, is_open
from auditor.api.app import build_app
from auditor.api.parts import Service
from auditor.api.problems import of_status
from auditor.api.sessions import PLAIN, SECURE, Session, Sessions
from auditor.domain.api_keys import ApiKey
from auditor.web.entries import entries
from auditor.web.forms import SESSION
from auditor.web.looking import here
from auditor.web.parts import Site
from auditor.web.routing import no_page

LOGIN, STATIC, API = "/login", "/static/", "/v1"
HTML = "text/html"
SEE_OTHER, NOTHING = 303, 204
ASKS, LEADS = "HX-Request", "HX-Redirect"
"""By these a page's script says that it asks, and hears where to go instead."""


def build_site(service: Service) -> FastAPI:
    """Return the application of a service with its pages."""
    site = Site(service, Sessions())
    door = Door(site)
    app = build_app(service, door, [entry.router for entry in entries()])
    app.state.site = site

    def lost(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and door.covers(request.scope):
            return no_page(request, error.status_code)
        return of_status(request, error)

    app.add_exception_handler(HTTPException, lost)
    return app


class Door:
    """Lets a session in to the pages, and nobody else further than to log in."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._firsts = {entry.first for entry in entries()}

    def covers(self, scope: Scope) -> bool:
        """Whether a path is that of a page, or nobody's and a browser asks for a page there.

        Whoever asks for no page, as callers of the API do, is told there what the API tells.
        """
        path = scope["path"]
        if not path.startswith("/"):
            return False
        asks = HTML in Headers(scope=scope).get("accept", "")
        return path.split("/")[1] in self._firsts or (asks and not _of_api(path))

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
        return None if self.is_open(path) else _led_to_login(request)

    def _found(self, request: Request) -> tuple[Session, ApiKey] | None:
        """Return a session whose key still holds; both are looked up at each call."""
        named = shown_by(request)
        session = self.site.sessions.find(named) if named else None
        if session is None:
            return None
        service = self.site.service
        key = service.kept.key(session.key)
        if key is None or not key.holds(service.clock()):
            self.site.sessions.end(named)
            return None
        return session, key


def shown_by(request: Request) -> str:
    """Return the id of a session that a browser shows, or nothing."""
    cookies = request.cookies
    return cookies.get(SECURE) or cookies.get(PLAIN) or ""


def _of_api(path: str) -> bool:
    """Whether a path is the API's, whether there is anything or not."""
    return is_open(path) or path == API or path.startswith(f"{API}/")


def _led_to_login(request: Request) -> Response:
    if ASKS in request.headers:
        return Response(status_code=NOTHING, headers={LEADS: LOGIN})
    again = here(request)
    goes_on = request.method == "GET" and again != "/"
    where = f"{LOGIN}?next={quote(again, safe='')}" if goes_on else LOGIN
    return RedirectResponse(where, SEE_OTHER)
