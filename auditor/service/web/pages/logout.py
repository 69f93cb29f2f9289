"""End a session."""

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from auditor.api.admitting import Viewer
from auditor.web.entries import Entry
from auditor.web.parts import Shown, Visit
from auditor.web.routing import routes
from auditor.web.site import shown_by

SEE_OTHER = 303
router = routes()


@router.post("/logout")
def end(request: Request, caller: Viewer, visit: Visit, site: Shown) -> Response:
    """End the session that asks; its cookie is worth nothing from now on."""
    site.sessions.end(shown_by(request))
    answer = RedirectResponse("/login", SEE_OTHER)
    answer.delete_cookie(visit.cookie, path="/", secure=visit.secure, httponly=True,
                         samesite="strict")  # fmt: skip
    return answer


ENTRY = Entry("/logout", router)
