"""Forms that a browser sends: read by hand, and only from our own pages."""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from auditor.api.sessions import Session
from auditor.refusals import CallError, ForbiddenError, TooLargeError

MOST_BYTES, MOST_FIELDS = 32 * 1024, 60
TOKEN = "token"  # noqa: S105 -- the name of a field
SESSION, FORM = "auditor.session", "auditor.form"
"""Where a call's session and its form stand."""
MEDIA = "application/x-www-form-urlencoded"
SAME = "same-origin"
ELSEWHERE = "Open the page again, and send its form from there."


async def checked_form(request: Request) -> Mapping[str, str]:
    """Read the form of a call that one of our own pages sent; where a session is, of that session.

    Raises ``ForbiddenError`` for one from elsewhere, ``CallError`` and ``TooLargeError``.
    """
    refuse_foreign(request)
    fields = await _fields(request)
    session = request.scope.get(SESSION)
    shown = fields.get(TOKEN, "").encode(errors="replace")
    if isinstance(session, Session) and not hmac.compare_digest(shown, session.token.encode()):
        raise ForbiddenError("this form is not one of your session", cure=ELSEWHERE)
    return fields


def form_of(request: Request) -> Mapping[str, str]:
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
    origin = origin_of(request)
    host = request.headers.get("host", "").lower()
    same = urlsplit(origin).netloc == host if site is None else site == SAME
    if not origin or not same:
        raise ForbiddenError("this form was sent from elsewhere", cure=ELSEWHERE)


def origin_of(request: Request) -> str:
    """Return the origin that a browser names, in small letters, or nothing where it names none."""
    said = request.headers.get("origin", "").lower()
    try:
        parts = urlsplit(said)
        bare = parts.scheme in {"http", "https"} and said == f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return ""
    return said if bare and parts.netloc and parts.netloc.isascii() else ""


async def _fields(request: Request) -> Mapping[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != MEDIA:
        raise CallError("the body is no form", cure=ELSEWHERE)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise TooLargeError("the form is too large", cure="Write less.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise CallError("the form cannot be read", cure=ELSEWHERE) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise CallError("the form has a field twice", cure=ELSEWHERE)
    return dict(pairs)
