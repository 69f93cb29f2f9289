"""Error responses of the API: problem details (RFC 9457), by one table of slugs."""

import json
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from auditor.domain.json import Json
from auditor.errors import AuditorError, RateLimitError

CALL = "auditor.call"
"""Where the id of a call stands, under which its lines of the log are found."""
MEDIA = "application/problem+json"
TYPES = "https://auditor.invalid/problems/"
"""Where types of problems live: a name that nobody can own, for nothing is to be fetched there."""
INVALID, UNWELL = HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
BROKEN, CONFLICT = HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.CONFLICT

TABLE: Mapping[str, tuple[HTTPStatus, str]] = {
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "API key missing or invalid"),
    "forbidden": (HTTPStatus.FORBIDDEN, "Permission denied"),
    "not_found": (HTTPStatus.NOT_FOUND, "Not found"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
    "too_many": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "too_slow": (HTTPStatus.REQUEST_TIMEOUT, "Request timed out"),
    "quota_reached": (CONFLICT, "Project quota reached"),
    "too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request too large"),
    "call_invalid": (INVALID, "Invalid request"),
    "submission_invalid": (INVALID, "Invalid submission"),
    "schedule_invalid": (INVALID, "Invalid schedule"),
    "hook_invalid": (INVALID, "Invalid webhook address"),
    "idempotency_conflict": (CONFLICT, "Idempotency key already used"),
    "state_conflict": (CONFLICT, "Not possible in this state"),
    "upload_invalid": (INVALID, "The uploaded file differs from its announcement"),
    "upload_conflict": (CONFLICT, "Upload offset mismatch"),
    "issuer_lost": (UNWELL, "An identity provider cannot be reached"),
    "engine_unavailable": (UNWELL, "The engine is not running"),
    "target_unavailable": (CONFLICT, "The target is unknown or has no worker online"),
    "error": (BROKEN, "The service failed"),
    "invalid_input": (INVALID, "Invalid input"),
    "usage": (INVALID, "Invalid usage"),
    "artifact_invalid": (INVALID, "An invalid model"),
    "dataset_invalid": (INVALID, "An invalid data file"),
    "audit_file_invalid": (INVALID, "An invalid audit file"),
    "privacy_claim_invalid": (INVALID, "An invalid privacy claim"),
    "dossier_invalid": (INVALID, "An invalid declaration"),
    "policy_invalid": (INVALID, "An invalid policy"),
    "trust_policy_invalid": (INVALID, "An invalid trust policy"),
    "waiver_invalid": (INVALID, "An invalid waiver or approval"),
    "key_invalid": (INVALID, "An invalid key file"),
    "signature_invalid": (INVALID, "An invalid signature file"),
    "timestamp_invalid": (INVALID, "An invalid timestamp"),
    "browser_missing": (INVALID, "No browser found"),
    "condition_undecided": (BROKEN, "A condition is undecided"),
    # A caller hands over no record and no ledger: what is wrong with one is wrong with the service.
    "record_invalid": (BROKEN, "A record is damaged"),
    "ledger_invalid": (HTTPStatus.NOT_FOUND, "Not found in the ledger"),
    "subject_lost": (BROKEN, "The model process was lost"),
    "model_crashed": (BROKEN, "The model crashed"),
    "model_hung": (BROKEN, "The model hung"),
    "model_out_of_memory": (BROKEN, "The model ran out of memory"),
    "endpoint_lost": (UNWELL, "A served model cannot be reached"),
    "target_changed": (CONFLICT, "The target has changed"),
    "model_failed": (BROKEN, "The runtime rejected the model"),
    "recipe_failed": (BROKEN, "The recipe failed"),
    "specimen_broken": (BROKEN, "A specimen is broken"),
    "shadows_failed": (BROKEN, "A shadow model failed"),
    "runtime_missing": (UNWELL, "A runtime is missing"),
    "limit_reached": (CONFLICT, "A limit is reached"),
    "twin_unusable": (BROKEN, "No usable twin"),
    "needs_extra": (UNWELL, "A dependency is not installed"),
    "check_broken": (BROKEN, "A check is broken"),
    "witness_lost": (UNWELL, "A witness cannot be reached"),
    "clock_lost": (UNWELL, "A timestamp authority cannot be reached"),
    # What a client is told; no service says it of itself.
    "service_refused": (INVALID, "Another service rejected the request"),
    "service_unreachable": (UNWELL, "Another service cannot be reached"),
    "service_failed": (BROKEN, "Another service failed"),
    "store_unavailable": (UNWELL, "The store is not available"),
    "cancelled": (CONFLICT, "Cancelled"),
}
"""The status and the title of every slug; a title never varies with what happened."""
BY_STATUS = {
    HTTPStatus.NOT_FOUND: ("not_found", "See /openapi.json for the available paths."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "See /openapi.json for the allowed methods.",
    ),
}


def build_problem(
    request: Request, slug: str, detail: str, cure: str, more: Sequence[Json] = ()
) -> Response:
    """Return the answer for one problem; ``more`` lists the single mistakes of a call."""
    status, title = TABLE[slug]
    body: dict[str, Json] = {
        "type": f"{TYPES}{slug}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "cure": cure,
        "instance": request.url.path,
    }
    if more:
        body["errors"] = list(more)
    headers = {"WWW-Authenticate": 'Bearer realm="auditor"'} if slug == "unauthorized" else {}
    # A lone surrogate of a caller's own text is no reason to fail while saying so.
    raw = json.dumps(body, ensure_ascii=True)
    return Response(raw, int(status), headers, MEDIA)


def build_error_response(request: Request, error: Exception) -> Response:
    """Return the answer for a deliberate error, and for any other the same as for an unknown one.

    What a fault of the service says names its own files and hosts: that goes to the log alone.
    """
    slug = error.slug if isinstance(error, AuditorError) else "error"
    if isinstance(error, AuditorError) and TABLE[slug][0] < BROKEN:
        answer = build_problem(request, slug, error.problem, error.cure)
        if isinstance(error, RateLimitError):
            answer.headers["Retry-After"] = str(error.seconds)
            answer.headers["RateLimit"] = f'"{error.name}";r=0;t={error.seconds}'
        return answer
    request.app.state.service.log(format_fault(error, request.scope.get(CALL)))
    detail = "the service failed; details are in its log"
    cure = "Try again later, or contact the operator of the service."
    return build_problem(request, slug, detail, cure)


def format_fault(error: Exception, call: str | None) -> Mapping[str, Json]:
    """Return the line of the log for a fault of the service: what and where, and nothing called."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = error.problem if isinstance(error, AuditorError) else ""
    kind = type(error).__name__
    return {"event": "fault", "id": call, "kind": kind, "place": place, "problem": said}


def build_status_response(request: Request, error: Exception) -> Response:
    """Return the answer for what the framework refuses: an unknown path, or a wrong verb."""
    status = error.status_code if isinstance(error, HTTPException) else BROKEN
    slug, cure = BY_STATUS.get(HTTPStatus(status), ("call_invalid", "Correct the request."))
    detail = f"{request.method} {request.url.path} is not served"
    answer = build_problem(request, slug, detail, cure)
    if isinstance(error, HTTPException) and error.headers:
        answer.headers.update(error.headers)
    return answer


def build_validation_response(request: Request, error: Exception) -> Response:
    """Return the answer for a malformed call, with the place of every mistake in it."""
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    told = [(".".join(str(part) for part in item["loc"]), str(item["msg"])) for item in found]
    detail = (
        "; ".join(f"{place}: {said}" for place, said in told[:5]) or "the request cannot be read"
    )
    cure = "See /openapi.json for the format of the request."
    more = [{"place": place, "problem": said} for place, said in told[:50]]
    return build_problem(request, "call_invalid", detail, cure, more)


def install_error_handlers(app: FastAPI) -> None:
    """Let an application answer all errors so."""
    app.add_exception_handler(AuditorError, build_error_response)
    app.add_exception_handler(HTTPException, build_status_response)
    app.add_exception_handler(RequestValidationError, build_validation_response)
