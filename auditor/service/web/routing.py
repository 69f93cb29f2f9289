"""Routing and rendering of web pages: page discovery, templates, forms, assets, and errors.

Each page is a module of ``pages`` and is found by its presence there. Forms are accepted only from
our own pages. Templates escape all values, and responses must not be cached.
"""

import hashlib
import hmac
import importlib
import pkgutil
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from starlette.responses import HTMLResponse, Response

import auditor.service.web.pages
from auditor._resources import find_shipped_folder
from auditor.errors import (
    AuditorError,
    BrokenCheckError,
    ForbiddenError,
    MalformedRequestError,
    NotFoundError,
    RequestTooLargeError,
)
from auditor.reports.formats.html import build_template_environment
from auditor.reports.html.run_details import shorten_digest
from auditor.service.api.auth import CALLER, BrowserSession
from auditor.service.api.errors import BROKEN, CALL, TABLE, format_fault
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.web.badges import (
    DELIVERIES,
    SCHEDULES,
    TOLD,
    choose_audit_badge,
    choose_run_badge,
    choose_state_badge,
    choose_unread_badge,
    choose_verdict_badge,
    format_short_time,
)

MOST_BYTES, MOST_FIELDS = 32 * 1024, 60
TOKEN = "token"  # noqa: S105 -- the name of a field
SESSION, FORM = "auditor.session", "auditor.form"
"""Where a call's session and its form stand."""
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
SAME = "same-origin"
FOREIGN_FORM_CURE = "Open the page again and submit its form."


async def read_checked_form(request: Request) -> Mapping[str, str]:
    """Read the form of a call that one of our own pages sent; where a session is, of that session.

    Raises ``ForbiddenError`` for one from elsewhere, ``MalformedRequestError`` and
    ``RequestTooLargeError``.
    """
    refuse_foreign(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != FORM_MEDIA_TYPE:
        raise MalformedRequestError("the request body is not a form", cure=FOREIGN_FORM_CURE)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise RequestTooLargeError("the form is too large", cure="Shorten your text.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise MalformedRequestError("the form cannot be read", cure=FOREIGN_FORM_CURE) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise MalformedRequestError("the form has a duplicate field", cure=FOREIGN_FORM_CURE)
    fields = dict(pairs)
    session = request.scope.get(SESSION)
    shown = fields.get(TOKEN, "").encode(errors="replace")
    if isinstance(session, BrowserSession) and not hmac.compare_digest(
        shown, session.token.encode()
    ):
        raise ForbiddenError("this form does not belong to your session", cure=FOREIGN_FORM_CURE)
    return fields


def get_form(request: Request) -> Mapping[str, str]:
    """Return the form of a call, which was checked before any page came to it."""
    found = request.scope.get(FORM)
    if not isinstance(found, Mapping):
        raise TypeError("a page is served by PageRoute, which reads its form")
    return found


def refuse_foreign(request: Request) -> None:
    """Raise ``ForbiddenError`` unless the browser says that one of our own pages calls.

    A browser that knows ``Sec-Fetch-Site`` says it there, also behind a proxy that changes the
    host; another one names the page's origin.
    """
    site = request.headers.get("sec-fetch-site")
    origin = read_origin(request)
    host = request.headers.get("host", "").lower()
    same = urlsplit(origin).netloc == host if site is None else site == SAME
    if not origin or not same:
        raise ForbiddenError("this form was sent from another site", cure=FOREIGN_FORM_CURE)


def read_origin(request: Request) -> str:
    """Return the origin that a browser names, in small letters, or nothing where it names none."""
    said = request.headers.get("origin", "").lower()
    try:
        parts = urlsplit(said)
        bare = parts.scheme in {"http", "https"} and said == f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return ""
    return said if bare and parts.netloc and parts.netloc.isascii() else ""


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A part of the pages: the path that it begins with, its routes, and its place in the menu.

    ``order`` is its place from the left; a part without a ``title`` is in no menu. Who has less
    than the role ``least`` does not see it there. Parts of one ``group`` share a place in it.
    """

    path: str
    router: APIRouter
    title: str = ""
    order: int = 0
    least: AccessRole = AccessRole.VIEWER
    group: str = ""

    @property
    def first(self) -> str:
        """The first part of its paths; whatever begins with it is a page."""
        return self.path.split("/")[1]


@cache
def list_page_entries() -> tuple[PageEntry, ...]:
    """Return every part, in the order of the menu.

    Raises ``BrokenCheckError`` for a module without an ``ENTRY``, and for a path claimed twice.
    """
    package = auditor.service.web.pages
    found: dict[str, PageEntry] = {}
    for item in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        entry = getattr(importlib.import_module(item.name), "ENTRY", None)
        if not isinstance(entry, PageEntry) or entry.path in found:
            raise BrokenCheckError(
                f"{item.name} has no ENTRY, or one with the path of another",
                cure="Let it end with `ENTRY = PageEntry(path, router)`.",
            )
        found[entry.path] = entry
    return tuple(sorted(found.values(), key=lambda entry: (entry.order, entry.path)))


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A place in a menu: its name, where it leads, and the paths of which it is the place."""

    title: str
    path: str
    paths: tuple[str, ...]

    def is_of(self, path: str) -> bool:
        """Whether a page lies there."""
        return any(path == it or (it != "/" and path.startswith(f"{it}/")) for it in self.paths)


def build_menu(caller: AccessRole) -> tuple[MenuItem, ...]:
    """Return the places that a menu shows to a role; a group is one."""
    found: dict[str, list[str]] = {}
    for item in _shown(caller):
        found.setdefault(item.group or item.title, []).append(item.path)
    return tuple(MenuItem(title, paths[0], tuple(paths)) for title, paths in found.items())


def list_sibling_items(caller: AccessRole, path: str) -> tuple[MenuItem, ...]:
    """Return the places of the group that a page is of, where it is of one."""
    shown = [item for item in _shown(caller) if item.group]
    groups = {it.group for it in shown if MenuItem(it.title, it.path, (it.path,)).is_of(path)}
    return tuple(MenuItem(it.title, it.path, (it.path,)) for it in shown if it.group in groups)


def _shown(caller: AccessRole) -> tuple[PageEntry, ...]:
    return tuple(item for item in list_page_entries() if item.title and caller.may(item.least))


HERE = Path(__file__).parent
"""The folder of this package, in which the templates and the files of the pages lie."""
ASSET_MEDIA_TYPES: Mapping[str, str] = MappingProxyType({
    "site.css": "text/css; charset=utf-8",
    "site.js": "text/javascript; charset=utf-8",
    "signing.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
})  # fmt: skip
"""Every file that is served, and as what; there are no others."""
LONG = 12


@cache
def read_asset(name: str) -> bytes:
    """Return a file's bytes; the stylesheet begins with that of reports.

    Raises ``AuditorError`` for a name that is none of ``ASSET_MEDIA_TYPES``.
    """
    if name not in ASSET_MEDIA_TYPES:
        raise AuditorError(f"there is no file {name[:80]!r}", cure="Name one that a page loads.")
    own = (HERE / "static" / name).read_bytes()
    return (
        (find_shipped_folder("reports") / "report.css").read_bytes() + own
        if name == "site.css"
        else own
    )


@cache
def build_asset_url(name: str) -> str:
    """Return the address of a file, which changes with its bytes."""
    return f"/static/{hashlib.sha256(read_asset(name)).hexdigest()[:LONG]}/{name}"


NOTHING: Mapping[str, object] = MappingProxyType({})


def render_page(
    request: Request,
    template: str,
    told: Mapping[str, object] = NOTHING,
    *,
    status: int = 200,
    **more: object,
) -> HTMLResponse:
    """Return a page. ``told`` and ``more`` are what its template speaks of."""
    session, found = request.scope.get(SESSION), request.scope.get(CALLER)
    caller = found if isinstance(found, ApiKey) else None
    about: dict[str, object] = {
        "visitor": caller,
        "menu": () if caller is None else build_menu(caller.role),
        "near": () if caller is None else list_sibling_items(caller.role, request.scope["path"]),
        "decides": caller is not None and caller.role.may(AccessRole.APPROVER),
        "submits": caller is not None and caller.role.may(AccessRole.SUBMITTER),
        "administers": caller is not None and caller.role.may(AccessRole.ADMIN),
        "token": session.token if isinstance(session, BrowserSession) else "",
        "path": request.scope["path"],
        "here": build_page_url(request),
    }
    page = build_page_templates().get_template(f"web/{template}.html.j2")
    return HTMLResponse(page.render({**about, **told, **more}).strip() + "\n", status)


@lru_cache(maxsize=1)
def build_page_templates() -> Environment:
    """Return where the pages' templates are found, beside those of reports, and how they escape."""
    reports = build_template_environment()
    ours = PrefixLoader({"web": FileSystemLoader(HERE / "templates")})
    theirs = FileSystemLoader(find_shipped_folder("reports") / "templates")
    found = reports.overlay(loader=ChoiceLoader([ours, theirs]))
    found.filters = reports.filters | {"when": format_short_time, "short": shorten_digest}
    found.globals = reports.globals | {
        "asset": build_asset_url, "sign_of": choose_audit_badge,
        "verdict_sign": choose_verdict_badge, "TOLD": TOLD,
        "state_sign": choose_state_badge, "unread_sign": choose_unread_badge,
        "run_sign": choose_run_badge, "SCHEDULES": SCHEDULES, "DELIVERIES": DELIVERIES,
    }  # fmt: skip
    return found


def build_page_url(request: Request) -> str:
    """Return the address of a page as its own links write it."""
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"])
    return f"{path}?{query}" if query else path


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # Under `no-referrer` a browser names no origin with a form, and the form would be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Set on every page that does not say otherwise itself."""
POST = "POST"
LOST = 404
NOT_FOUND_CURE = "Choose an entry from a list. Entries of other projects are not shown."
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route that is opened in a browser."""

    def get_route_handler(self) -> Handler:
        """Return what answers a call, whatever happens."""
        inner = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                if request.method == POST:
                    request.scope[FORM] = await read_checked_form(request)
                answer = await inner(request)
            except Exception as error:  # noqa: BLE001 -- people read no problem documents
                answer = _told(request, error)
            return set_page_headers(answer)

        return answered


def set_page_headers(answer: Response) -> Response:
    """Set the headers that every page has."""
    for name, said in HEADERS.items():
        answer.headers.setdefault(name, said)
    return answer


def render_not_found(request: Request, status: int) -> Response:
    """Return the page for an address at which there is none, or none for such a call."""
    problem = f"Page not found: {request.scope['path']}"
    return set_page_headers(render_page(
        request, "problem", status=status, title="Page not found", problem=problem,
        cure="Check the address, or open the page from the menu.",
    ))  # fmt: skip


def create_page_router() -> APIRouter:
    """Return where a part of the pages puts its routes; they are no part of the API's documents."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def _told(request: Request, error: Exception) -> Response:
    """Return the page for an error; the service's own faults go to its log, and are not told."""
    if isinstance(error, RequestValidationError):
        return render_not_found(request, LOST)
    slug = error.slug if isinstance(error, AuditorError) else "error"
    status, title = TABLE[slug]
    if isinstance(error, AuditorError) and status < BROKEN:
        cure = NOT_FOUND_CURE if isinstance(error, NotFoundError) else error.cure
        return render_page(
            request, "problem", status=int(status), title=title, problem=error.problem, cure=cure
        )
    request.app.state.service.log(format_fault(error, request.scope.get(CALL)))
    problem = "The service could not show this page. Details are in its log."
    return render_page(request, "problem", status=int(status), title=title, problem=problem,
                       cure="Try again later, or contact the operator of the service.")  # fmt: skip
