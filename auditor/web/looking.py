"""How a page is made of a template: one frame, everything escaped, nothing of it kept anywhere."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

from fastapi import Request
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from starlette.responses import HTMLResponse

from auditor.api.admitting import CALLER
from auditor.api.sessions import Session
from auditor.domain.api_keys import ApiKey, Role
from auditor.rendering.report import environment
from auditor.rendering.runs import short
from auditor.shipped import shipped
from auditor.web.assets import version_of
from auditor.web.entries import menu, near
from auditor.web.forms import SESSION
from auditor.web.words import (
    DELIVERIES,
    SCHEDULES,
    TOLD,
    run_sign,
    sign_of,
    state_sign,
    unread_sign,
    verdict_sign,
    when,
)

NOTHING: Mapping[str, object] = MappingProxyType({})


def show(
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
        "menu": () if caller is None else menu(caller.role),
        "near": () if caller is None else near(caller.role, request.scope["path"]),
        "decides": caller is not None and caller.role.may(Role.APPROVER),
        "submits": caller is not None and caller.role.may(Role.SUBMITTER),
        "administers": caller is not None and caller.role.may(Role.ADMIN),
        "token": session.token if isinstance(session, Session) else "",
        "path": request.scope["path"],
        "here": here(request),
    }
    page = pages().get_template(f"web/{template}.html.j2")
    return HTMLResponse(page.render({**about, **told, **more}).strip() + "\n", status)


@lru_cache(maxsize=1)
def pages() -> Environment:
    """Return where the pages' templates are found, beside those of reports, and how they escape."""
    reports = environment()
    ours = PrefixLoader({"web": FileSystemLoader(shipped("web") / "templates")})
    theirs = FileSystemLoader(shipped("reports") / "templates")
    found = reports.overlay(loader=ChoiceLoader([ours, theirs]))
    found.filters = reports.filters | {"when": when, "short": short}
    found.globals = reports.globals | {
        "asset": version_of, "sign_of": sign_of, "verdict_sign": verdict_sign, "TOLD": TOLD,
        "state_sign": state_sign, "unread_sign": unread_sign,
        "run_sign": run_sign, "SCHEDULES": SCHEDULES, "DELIVERIES": DELIVERIES,
    }  # fmt: skip
    return found


def here(request: Request) -> str:
    """Return the address of a page as its own links write it."""
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"])
    return f"{path}?{query}" if query else path
