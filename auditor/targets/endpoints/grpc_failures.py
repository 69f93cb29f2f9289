"""What a gRPC status means."""

import grpc

from auditor.errors import AuditorError, ModelFailedError, ModelHungError, TargetError
from auditor.targets.endpoints.failures import AttemptError
from auditor.targets.endpoints.trust import certificate_error
from auditor.targets.messages import plain

MOST_WORDS = 300
TOO_LARGE = "larger than max"
"""What gRPC says of a message over a size limit, under the status of a rate limit."""
UNVERIFIED = "CERTIFICATE_VERIFY_FAILED"
DENIED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
ABSENT = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED})
BROKEN_OFF = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED})


def grpc_failure(
    title: str,
    code: grpc.StatusCode,
    said: str,
    seconds: float,
    behind: BaseException | None = None,
) -> AuditorError | AttemptError:
    """Return what ``code`` means; ``said`` is the server's words, without secrets."""
    words = " ".join(plain(said, MOST_WORDS).split())
    problem = f"{title} answers {code.name}" + (f": {words}" if words else "")
    if UNVERIFIED in said or (behind is not None and certificate_error(behind) is not None):
        return TargetError(
            f"{title} is not who it says it is: its certificate cannot be verified",
            cure="Give the file of roots that signed its certificate as `endpoint.ca`; "
            "verification cannot be switched off.",
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        cannot = f"{title} cannot be reached: {behind or words}"
        return AttemptError(cannot, reached=behind is None, lost=True)
    if code in BROKEN_OFF:
        return AttemptError(problem, lost=True)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and TOO_LARGE not in said:
        return AttemptError(problem, reached=False)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ModelHungError(
            f"{title} did not answer within {seconds:g} seconds",
            cure="Raise the target's `time_limit`, or set `endpoint.batch_limit`.",
        )
    return _lasting(problem, code, said)


def _lasting(problem: str, code: grpc.StatusCode, said: str) -> AuditorError:
    if code in DENIED:
        return TargetError(
            problem,
            cure="Name the environment variables that hold its credentials under "
            "`endpoint.headers`, and see that they are still valid.",
        )
    if code in ABSENT:
        return TargetError(
            problem, cure="Look at `endpoint.url`, `model`, `model_version` and `protocol`."
        )
    cure = "Look at the server's log for that request."
    if TOO_LARGE in said:
        cure = "Set `endpoint.batch_limit` to fewer rows."
    return ModelFailedError(problem, cure=cure)
