"""Login page: begins a session by an API key."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import RedirectResponse, Response

from auditor.errors import RateLimitError, UnauthorizedError
from auditor.service.api.auth import CALLER, build_peer_key
from auditor.service.auth.api_keys import authenticate_key
from auditor.service.web.routing import (
    SESSION,
    PageEntry,
    create_page_router,
    get_form,
    read_origin,
    render_page,
)
from auditor.service.web.site import Shown, read_session_id

SEE_OTHER, REFUSED, TOO_MANY = 303, 401, 429
LONGEST_NEXT = 500
router = create_page_router()


@router.get("/login")
def show_login(request: Request, next: Annotated[str, Query()] = "/") -> Response:  # noqa: A002 -- the address's own word
    """Ask for a key."""
    where = choose_return_path(next)
    if request.scope.get(SESSION) is not None:
        return RedirectResponse(where, SEE_OTHER)
    return render_page(request, "login", title="Log in", next=where, problem="", cure="")


@router.post("/login")
def begin_session(request: Request, site: Shown) -> Response:
    """Begin a session of a key that holds; its text is used here and kept nowhere.

    Behind a proxy all have one address: who shows a key that holds is never refused for what others
    from there do, as with every other call.
    """
    form, where = get_form(request), choose_return_path(get_form(request).get("next", "/"))
    service = site.service
    try:
        key = authenticate_key(form.get("key", "").strip(), service.kept.key, service.clock())
    except UnauthorizedError as error:
        cure = "Enter the complete key, `auk_…`, as shown when it was created."
        try:
            service.rationing.failure(build_peer_key(request.scope))
        except RateLimitError as many:
            return _refused(request, where, TOO_MANY, error.problem, f"{cure} {many.cure}")
        return _refused(request, where, REFUSED, error.problem, cure)
    request.scope[CALLER] = key
    site.sessions.end(read_session_id(request))
    named, session = site.sessions.begin(key.id, read_origin(request))
    answer = RedirectResponse(where, SEE_OTHER)
    answer.set_cookie(session.cookie, named, path="/", secure=session.secure, httponly=True,
                      samesite="strict")  # fmt: skip
    return answer


def choose_return_path(where: str) -> str:
    """Return an address if it is one of our own pages, else that of the first page."""
    plain = where.isascii() and where.isprintable() and "\\" not in where
    ours = where.startswith("/") and not where.startswith(("//", "/login"))
    return where if plain and ours and len(where) <= LONGEST_NEXT else "/"


def _refused(request: Request, where: str, status: int, problem: str, cure: str) -> Response:
    return render_page(
        request, "login", status=status, title="Log in", next=where, problem=problem, cure=cure
    )


ENTRY = PageEntry("/login", router)
