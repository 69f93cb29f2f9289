"""The deliberate errors of a service, each under a stable slug, as all errors are."""

from auditor.errors import AuditorError, InvalidInputError


class SubmissionError(InvalidInputError):
    """What was sent to a service to audit is malformed, incomplete, or not audited there."""

    slug = "submission_invalid"


class ConflictError(InvalidInputError):
    """A key that makes many calls one call was used for another call before."""

    slug = "idempotency_conflict"


class EngineError(AuditorError):
    """The engine that carries out submissions cannot start, or does not run."""

    slug = "engine_unavailable"


class UnauthorizedError(AuditorError):
    """A caller shows no key, or one that does not hold."""

    slug = "unauthorized"


class IssuerLostError(AuditorError):
    """The keys of an identity provider, by which its tokens are known, cannot be had."""

    slug = "issuer_lost"


class ForbiddenError(AuditorError):
    """A caller's role does not reach as far as what was asked."""

    slug = "forbidden"


class NotFoundError(InvalidInputError):
    """There is no such thing, or none that the caller's project may see."""

    slug = "not_found"


class UploadError(InvalidInputError):
    """A file that was sent is not the one that was announced; nothing of it is kept."""

    slug = "upload_invalid"


class UploadConflictError(InvalidInputError):
    """A file is sent from another place on than the service has reached, or twice at once."""

    slug = "upload_conflict"


class TooLargeError(InvalidInputError):
    """What was sent is larger than the service takes."""

    slug = "too_large"


class TooSlowError(InvalidInputError):
    """The body of a call comes so slowly that nobody waits for the rest of it."""

    slug = "too_slow"


class TooManyError(InvalidInputError):
    """A caller asks more than a limit gives it now; ``seconds`` later it may again."""

    slug = "too_many"

    def __init__(self, problem: str, *, cure: str, name: str, seconds: int) -> None:
        super().__init__(problem, cure=cure)
        self.name = name
        self.seconds = seconds


class QuotaError(InvalidInputError):
    """A project has as much as it may have."""

    slug = "quota_reached"


class ScheduleError(InvalidInputError):
    """A schedule asks for what no schedule does, or at times that nobody can tell."""

    slug = "schedule_invalid"


class HookError(InvalidInputError):
    """A web hook names an address that this service does not send to."""

    slug = "hook_invalid"


class CallError(InvalidInputError):
    """A call of the service is malformed: its path, its query, a header or its body."""

    slug = "call_invalid"


class StandingError(InvalidInputError):
    """What was asked cannot be done to a thing in the state in which it is."""

    slug = "state_conflict"


class RefusedError(InvalidInputError):
    """A service refused what a client asked; ``kind`` is the word that its problem goes by."""

    slug = "service_refused"

    def __init__(self, problem: str, *, cure: str, kind: str = "") -> None:
        super().__init__(problem, cure=cure)
        self.kind = kind


class UnreachableError(AuditorError):
    """A service cannot be reached, or the line to it broke and did not come back."""

    slug = "service_unreachable"


class ServiceFailedError(AuditorError):
    """A service failed at what was asked of it: a call, or an audit that gave no record."""

    slug = "service_failed"
