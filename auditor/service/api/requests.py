"""Request parsing shared by API routes: bodies, headers, path parameters, and ETag responses.

They are parsed by hand because the framework would read or accept too much.
"""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import unquote

from fastapi import Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from auditor.domain.digests import DIGEST_PATTERN
from auditor.domain.json import parse_json
from auditor.errors import MalformedRequestError, NotFoundError, RequestTooLargeError
from auditor.service.api.context import ServiceContext
from auditor.service.domain.access import ApiKey
from auditor.service.domain.submissions import ID, Submission

M = TypeVar("M")
MOST_BYTES = 16 * 2**20
"""No JSON that is sent here is larger: a list of the pictures in a folder may be long."""
MOST_TEXT = 200
LONGEST_NAME = 255
ONCE = "Idempotency-Key"

SUM, AUDIT = f"^{DIGEST_PATTERN}$", f"^{ID.pattern}$"
DigestPath = Annotated[str, Path(pattern=SUM, examples=["sha256:" + "ab" * 32])]
AuditId = Annotated[str, Path(pattern=AUDIT, examples=["sub-" + "0a" * 12])]
Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of entries.")]


async def parse_json_body(request: Request, kind: type[M]) -> M:
    """Read a JSON body, strictly and only so far as is sensible.

    Raises ``RequestTooLargeError``, ``MalformedRequestError`` for another type or malformed JSON,
    and ``RequestValidationError`` with the place of every mistake.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise MalformedRequestError(
            "the body is not application/json",
            cure="Send JSON with `Content-Type: application/json`.",
        )
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise RequestTooLargeError(
                f"the body has more than {MOST_BYTES} bytes",
                cure="Upload large files first, and name their digests.",
            )
    return read_body(bytes(raw), kind)


@cache
def build_type_adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 -- a class
    """Return what reads a kind of body, a model of pydantic's or a dataclass."""
    return TypeAdapter(kind)


def read_body(raw: bytes, kind: type[M]) -> M:
    """Read the bytes of a JSON body as ``parse_json_body`` does."""
    try:
        parse_json(raw)
        found: M = build_type_adapter(cast("Hashable", kind)).validate_json(raw, strict=True)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise MalformedRequestError(
            f"the body is not JSON: {said[:MOST_TEXT]}", cure="Send JSON."
        ) from None
    return found


def read_whole_number(request: Request, header: str) -> int | None:
    """Return a header that is a whole number from 0, or ``None``. Raises
    ``MalformedRequestError``.
    """
    said = request.headers.get(header)
    if said is None:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) < 16):  # noqa: PLR2004 -- digits
        raise MalformedRequestError(
            f"{header} is not a whole number of at least 0", cure="Use digits only."
        )
    return int(said)


def read_idempotency_key(request: Request) -> str | None:
    """Return the key by which a call is one call however often it is sent."""
    said = request.headers.get(ONCE)
    fits = said is None or (0 < len(said) <= MOST_TEXT and said.isascii() and said.isprintable())
    if not fits:
        raise MalformedRequestError(
            f"{ONCE} must have 1 to {MOST_TEXT} characters", cure="Shorten it."
        )
    return said


def read_file_name(request: Request, otherwise: str) -> str:
    """Return the name that a file is sent under, for people to read. No path is ever made of it.

    Raises ``MalformedRequestError`` for what is a path, or is not one line.
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
        raise MalformedRequestError(
            "Upload-Name is not a file name",
            cure=(
                "Send the name without folders, in UTF-8 and percent-encoded. It must "
                "not start with a dot."
            ),
        )
    return name


SAME = 304
OWN = "private, no-cache"
"""Kept by the caller alone, who asks each time whether the key still reaches it."""


def find_audit(service: ServiceContext, caller: ApiKey, name: str) -> Submission:
    """Return an audit of the caller's project; that of another one is not there either.

    Raises ``NotFoundError``.
    """
    found = service.kept.submission(caller.project, name)
    if found is None:
        raise NotFoundError(
            f"there is no audit {name}", cure="List the audits with GET /v1/audits."
        )
    return found


def build_etag_headers(digest: str) -> dict[str, str]:
    """Return the headers of what never changes under its digest."""
    return {"ETag": f'"{digest}"', "Cache-Control": OWN}


def respond_not_modified(request: Request, headers: Mapping[str, str]) -> Response | None:
    """Return the answer that the caller has it already, if ``If-None-Match`` says so.

    ``headers`` are those of the whole answer, tagged. A browser takes these for the headers of what
    it has, its policy and sandbox too, so that none may be missing.
    """
    said = request.headers.get("if-none-match", "")
    held = {item.strip().removeprefix("W/") for item in said.split(",")}
    if held & {headers["ETag"], "*"}:
        return Response(status_code=SAME, headers=headers)
    return None


def build_openapi_extra(form: type[Any], *parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the documents say of a body that is read by hand, and of more parameters."""
    schema = build_type_adapter(cast("Hashable", form)).json_schema()
    parts = schema.pop("$defs", {})
    body = {"required": True, "content": {"application/json": {"schema": _within(schema, parts)}}}
    return {"requestBody": body, "parameters": list(parameters)}


def _within(schema: Any, parts: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    """Put the parts that a schema refers to where it refers to them."""
    if isinstance(schema, list):
        return [_within(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _within(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {name: _within(item, parts) for name, item in schema.items()}
