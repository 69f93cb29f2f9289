"""What routes share: finding an audit of the caller's project, and answers with a digest."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from auditor.api.parts import Service
from auditor.domain.api_keys import ApiKey
from auditor.domain.submissions import Submission
from auditor.refusals import NotFoundError

SAME = 304
OWN = "private, no-cache"
"""Kept by the caller alone, who asks each time whether the key still reaches it."""


def audit_of(service: Service, caller: ApiKey, name: str) -> Submission:
    """Return an audit of the caller's project; that of another one is not there either.

    Raises ``NotFoundError``.
    """
    found = service.kept.submission(caller.project, name)
    if found is None:
        raise NotFoundError(f"there is no audit {name}", cure="GET /v1/audits lists them.")
    return found


def tagged(digest: str) -> dict[str, str]:
    """Return the headers of what never changes under its digest."""
    return {"ETag": f'"{digest}"', "Cache-Control": OWN}


def unchanged(request: Request, headers: Mapping[str, str]) -> Response | None:
    """Return the answer that the caller has it already, if ``If-None-Match`` says so.

    ``headers`` are those of the whole answer, tagged. A browser takes these for the headers of what
    it has, its policy and sandbox too, so that none may be missing.
    """
    said = request.headers.get("if-none-match", "")
    held = {item.strip().removeprefix("W/") for item in said.split(",")}
    if held & {headers["ETag"], "*"}:
        return Response(status_code=SAME, headers=headers)
    return None


def documented(form: type[BaseModel], *parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the documents say of a body that is read by hand, and of more parameters."""
    schema = form.model_json_schema()
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
