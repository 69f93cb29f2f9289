"""Read a call by hand where the framework would read too much of it: bodies, headers, and paths."""

from typing import Annotated, TypeVar
from urllib.parse import unquote

from fastapi import Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from auditor.domain.canonical import parse
from auditor.domain.submissions import DIGEST, ID
from auditor.refusals import CallError, TooLargeError

M = TypeVar("M", bound=BaseModel)
MOST_BYTES = 16 * 2**20
"""No JSON that is sent here is larger: a list of the pictures in a folder may be long."""
MOST_TEXT = 200
LONGEST_NAME = 255
ONCE = "Idempotency-Key"

SUM, AUDIT = f"^{DIGEST.pattern}$", f"^{ID.pattern}$"
Digest = Annotated[str, Path(pattern=SUM, examples=["sha256:" + "ab" * 32])]
AuditId = Annotated[str, Path(pattern=AUDIT, examples=["sub-" + "0a" * 12])]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]


async def body_of(request: Request, kind: type[M]) -> M:
    """Read a JSON body, strictly and only so far as is sensible.

    Raises ``TooLargeError``, ``CallError`` for another type or malformed JSON, and
    ``RequestValidationError`` with the place of every mistake.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise CallError("the body is no application/json", cure="Send JSON, and say so.")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise TooLargeError(
                f"the body has more than {MOST_BYTES} bytes", cure="Upload files; name digests."
            )
    return read_body(bytes(raw), kind)


def read_body(raw: bytes, kind: type[M]) -> M:
    """Read the bytes of a JSON body as ``body_of`` does."""
    try:
        parse(raw)
        return kind.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise CallError(f"the body is no JSON: {said[:MOST_TEXT]}", cure="Send JSON.") from None


def whole_number(request: Request, header: str) -> int | None:
    """Return a header that is a whole number from 0, or ``None``. Raises ``CallError``."""
    said = request.headers.get(header)
    if said is None:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) < 16):  # noqa: PLR2004 -- digits
        raise CallError(f"{header} is no whole number from 0", cure="Write it in digits.")
    return int(said)


def once_of(request: Request) -> str | None:
    """Return the key by which a call is one call however often it is sent."""
    said = request.headers.get(ONCE)
    fits = said is None or (0 < len(said) <= MOST_TEXT and said.isascii() and said.isprintable())
    if not fits:
        raise CallError(f"{ONCE} is no text of 1 to {MOST_TEXT} characters", cure="Shorten it.")
    return said


def file_name(request: Request, otherwise: str) -> str:
    """Return the name that a file is sent under, for people to read. No path is ever made of it.

    Raises ``CallError`` for what is a path, or is not one line.
    """
    said = request.headers.get("Upload-Name")
    if said is None:
        return otherwise
    try:
        name = unquote(said, errors="strict")
    except UnicodeDecodeError:
        name = ""
    fits = 0 < len(name.encode(errors="replace")) <= LONGEST_NAME and name.isprintable()
    if not fits or "/" in name or "\\" in name or name.startswith("."):
        raise CallError(
            "Upload-Name is no file's name",
            cure="Send the bare name, in UTF-8 and percent-encoded; it begins with no dot.",
        )
    return name
