"""Errors as a caller of the API reads them: problem details (RFC 9457), by one table of slugs."""

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
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "No key that holds"),
    "forbidden": (HTTPStatus.FORBIDDEN, "The key's role does not reach so far"),
    "not_found": (HTTPStatus.NOT_FOUND, "There is no such thing"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "Nothing is done so here"),
    "too_many": (HTTPStatus.TOO_MANY_REQUESTS, "Too many calls"),
    "too_slow": (HTTPStatus.REQUEST_TIMEOUT, "Too slow"),
    "quota_reached": (CONFLICT, "The project has as much as it may"),
    "too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too large"),
    "call_invalid": (INVALID, "A malformed call"),
    "submission_invalid": (INVALID, "Nothing that this service can audit"),
    "schedule_invalid": (INVALID, "No schedule that this service can keep"),
    "hook_invalid": (INVALID, "No address that this service sends to"),
    "idempotency_conflict": (CONFLICT, "An idempotency key used twice"),
    "state_conflict": (CONFLICT, "Not in this state"),
    "upload_invalid": (INVALID, "Not the file that was announced"),
    "upload_conflict": (CONFLICT, "The upload stands elsewhere"),
    "issuer_lost": (UNWELL, "An identity provider cannot be reached"),
    "engine_unavailable": (UNWELL, "The engine does not run"),
    "target_unavailable": (CONFLICT, "A target is unknown, or has no live worker"),
    "error": (BROKEN, "The service failed"),
    "invalid_input": (INVALID, "Invalid input"),
    "usage": (INVALID, "A call without meaning"),
    "artifact_invalid": (INVALID, "An invalid model"),
    "dataset_invalid": (INVALID, "An invalid data file"),
    "audit_file_invalid": (INVALID, "An invalid audit file"),
    "privacy_claim_invalid": (INVALID, "An invalid claim of privacy"),
    "dossier_invalid": (INVALID, "An invalid declaration"),
    "policy_invalid": (INVALID, "An invalid policy"),
    "trust_policy_invalid": (INVALID, "An invalid trust policy"),
    "waiver_invalid": (INVALID, "An invalid waiver or approval"),
    "key_invalid": (INVALID, "An invalid key file"),
    "signature_invalid": (INVALID, "An invalid signature file"),
    "timestamp_invalid": (INVALID, "An invalid timestamp"),
    "browser_missing": (INVALID, "No browser"),
    "condition_undecided": (BROKEN, "A condition without an answer"),
    # A caller hands over no record and no ledger: what is wrong with one is wrong with the service.
    "record_invalid": (BROKEN, "A record is damaged"),
    "ledger_invalid": (HTTPStatus.NOT_FOUND, "The ledger has no such thing"),
    "subject_lost": (BROKEN, "The model's process was lost"),
    "model_crashed": (BROKEN, "The model crashed"),
    "model_hung": (BROKEN, "The model hung"),
    "model_out_of_memory": (BROKEN, "The model outgrew its memory"),
    "endpoint_lost": (UNWELL, "A served model cannot be reached"),
    "target_changed": (CONFLICT, "The target has changed"),
    "model_failed": (BROKEN, "The runtime refused the model"),
    "recipe_failed": (BROKEN, "The recipe failed"),
    "specimen_broken": (BROKEN, "A specimen is broken"),
    "shadows_failed": (BROKEN, "A shadow model failed"),
    "runtime_missing": (UNWELL, "A runtime is missing"),
    "limit_reached": (CONFLICT, "A limit is reached"),
    "twin_unusable": (BROKEN, "No twin"),
    "needs_extra": (UNWELL, "Something is not installed"),
    "check_broken": (BROKEN, "A check is broken"),
    "witness_lost": (UNWELL, "A witness cannot be reached"),
    "clock_lost": (UNWELL, "A clock cannot be reached"),
    # What a client is told; no service says it of itself.
    "service_refused": (INVALID, "Another service refuses"),
    "service_unreachable": (UNWELL, "Another service cannot be reached"),
    "service_failed": (BROKEN, "Another service failed"),
    "store_unavailable": (UNWELL, "The store does not answer"),
    "cancelled": (CONFLICT, "Cancelled"),
}
"""The status and the title of every slug; a title never varies with what happened."""
BY_STATUS = {
    HTTPStatus.NOT_FOUND: ("not_found", "Look into /openapi.json for what there is."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "Look into /openapi.json for the verbs."),
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
    detail = "the service could not answer; its log says why"
    return build_problem(request, slug, detail, "Try again later, or tell who runs the service.")


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
    slug, cure = BY_STATUS.get(HTTPStatus(status), ("call_invalid", "Mend the call."))
    detail = f"{request.method} {request.url.path} is not served"
    answer = build_problem(request, slug, detail, cure)
    if isinstance(error, HTTPException) and error.headers:
        answer.headers.update(error.headers)
    return answer


def build_validation_response(request: Request, error: Exception) -> Response:
    """Return the answer for a malformed call, with the place of every mistake in it."""
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    told = [(".".join(str(part) for part in item["loc"]), str(item["msg"])) for item in found]
    detail = "; ".join(f"{place}: {said}" for place, said in told[:5]) or "it cannot be read"
    cure = "Look into /openapi.json for the form of the call."
    more = [{"place": place, "problem": said} for place, said in told[:50]]
    return build_problem(request, "call_invalid", detail, cure, more)


def install_error_handlers(app: FastAPI) -> None:
    """Let an application answer all errors so."""
    app.add_exception_handler(AuditorError, build_error_response)
    app.add_exception_handler(HTTPException, build_status_response)
    app.add_exception_handler(RequestValidationError, build_validation_response)
