"""Logout: ends a session."""

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from auditor.service.api.auth import Viewer
from auditor.service.web.routing import PageEntry, create_page_router
from auditor.service.web.site import Shown, Visit, read_session_id

SEE_OTHER = 303
router = create_page_router()


@router.post("/logout")
def end_session(request: Request, caller: Viewer, visit: Visit, site: Shown) -> Response:
    """End the session that asks; its cookie is worth nothing from now on."""
    site.sessions.end(read_session_id(request))
    answer = RedirectResponse("/login", SEE_OTHER)
    answer.delete_cookie(visit.cookie, path="/", secure=visit.secure, httponly=True,
                         samesite="strict")  # fmt: skip
    return answer


ENTRY = PageEntry("/logout", router)
