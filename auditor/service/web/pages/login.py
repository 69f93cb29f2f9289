"""Log in with a key, which begins a session, and out again, which ends it."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import RedirectResponse, Response

from auditor.api.admitting import CALLER, peer_of
from auditor.callers import caller_of
from auditor.refusals import TooManyError, UnauthorizedError
from auditor.web.entries import Entry
from auditor.web.forms import SESSION, form_of, origin_of
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes
from auditor.web.site import shown_by

SEE_OTHER, REFUSED, TOO_MANY = 303, 401, 429
LONGEST_NEXT = 500
router = routes()


@router.get("/login")
def ask(request: Request, next: Annotated[str, Query()] = "/") -> Response:  # noqa: A002 -- the address's own word
    """Ask for a key."""
    where = inside(next)
    if request.scope.get(SESSION) is not None:
        return RedirectResponse(where, SEE_OTHER)
    return show(request, "login", title="Log in", next=where, problem="", cure="")


@router.post("/login")
def begin(request: Request, site: Shown) -> Response:
    """Begin a session of a key that holds; its text is used here and kept nowhere.

    Behind a proxy all have one address: who shows a key that holds is never refused for what others
    from there do, as with every other call.
    """
    form, where = form_of(request), inside(form_of(request).get("next", "/"))
    service = site.service
    try:
        key = caller_of(form.get("key", "").strip(), service.kept.key, service.clock())
    except UnauthorizedError as error:
        cure = "Take the whole key, `auk_…`, as it was shown when it was made."
        try:
            service.rationing.failure(peer_of(request.scope))
        except TooManyError as many:
            return _refused(request, where, TOO_MANY, error.problem, f"{cure} {many.cure}")
        return _refused(request, where, REFUSED, error.problem, cure)
    request.scope[CALLER] = key
    site.sessions.end(shown_by(request))
    named, session = site.sessions.begin(key.id, origin_of(request))
    answer = RedirectResponse(where, SEE_OTHER)
    answer.set_cookie(session.cookie, named, path="/", secure=session.secure, httponly=True,
                      samesite="strict")  # fmt: skip
    return answer


def inside(where: str) -> str:
    """Return an address if it is one of our own pages, else that of the first page."""
    plain = where.isascii() and where.isprintable() and "\\" not in where
    ours = where.startswith("/") and not where.startswith(("//", "/login"))
    return where if plain and ours and len(where) <= LONGEST_NEXT else "/"


def _refused(request: Request, where: str, status: int, problem: str, cure: str) -> Response:
    return show(
        request, "login", status=status, title="Log in", next=where, problem=problem, cure=cure
    )


ENTRY = Entry("/login", router)
