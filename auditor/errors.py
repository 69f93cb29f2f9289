"""All deliberate errors of auditor and its service, each with a stable slug.

An error names the thing, the place and the cure. The cure for a missing extra never names the
package alone: a package index may hold any code under that name, and pip would run it.
"""

import re


class AuditorError(Exception):
    """Something that the user can understand and mend.

    ``problem`` names the thing and the place in one sentence, ``cure`` says what to do about it.
    """

    slug = "error"

    def __init__(self, problem: str, *, cure: str) -> None:
        super().__init__(problem, cure)
        self.problem = problem
        self.cure = cure

    def __str__(self) -> str:
        """Both sentences on one line, as logs and terminals show them."""
        return f"{self.problem.rstrip('.')}. {self.cure}"


class InvalidInputError(AuditorError):
    """What the user handed over cannot be used."""

    slug = "invalid_input"


class UsageError(InvalidInputError):
    """The command was called in a way that has no meaning."""

    slug = "usage"


class ArtifactError(InvalidInputError):
    """The model's files are missing, malformed or of a kind that cannot be audited."""

    slug = "artifact_invalid"


class RowShapeError(ArtifactError):
    """Rows of the data have another shape than the model takes."""


class ModelExportError(ArtifactError):
    """A model of a Python library cannot be exported to ONNX, or not together with these rows."""


class DatasetError(InvalidInputError):
    """A data file is missing, malformed or contradicts what the audit file says of it."""

    slug = "dataset_invalid"


class AuditFileError(InvalidInputError):
    """The audit file is malformed or contradicts itself."""

    slug = "audit_file_invalid"


class PrivacyClaimError(InvalidInputError):
    """A file that claims differential privacy is malformed or contradicts itself."""

    slug = "privacy_claim_invalid"


class DossierError(InvalidInputError):
    """A file that declares a system or its risks is missing, malformed or contradicts the audit."""

    slug = "dossier_invalid"


class PolicyError(InvalidInputError):
    """A policy is malformed, empty, or bounds what no check measures."""

    slug = "policy_invalid"


class PolicyMissingError(PolicyError):
    """No pack has the name of a policy, and no file either."""


class TrustPolicyError(InvalidInputError):
    """A trust policy, or a file that it names, is missing, malformed or contradicts itself."""

    slug = "trust_policy_invalid"


class WaiverError(InvalidInputError):
    """A waiver or an approval is malformed, for something else, or signed by somebody else."""

    slug = "waiver_invalid"


class ConditionError(AuditorError):
    """A policy's condition has no answer for these readings; judging makes it unknown."""

    slug = "condition_undecided"


class RecordError(InvalidInputError):
    """A record or its folder is missing, malformed or incomplete."""

    slug = "record_invalid"


class KeyFileError(InvalidInputError):
    """A key file is missing, malformed or of an unsupported kind."""

    slug = "key_invalid"


class SignatureFormatError(InvalidInputError):
    """A signature file is not one that we can read."""

    slug = "signature_invalid"


class TimestampError(InvalidInputError):
    """A timestamp is malformed, or proves nothing under the authorities that are trusted."""

    slug = "timestamp_invalid"


class TargetError(InvalidInputError):
    """A target is unknown or cannot be opened on this machine."""

    slug = "target_unavailable"


class SubjectLostError(AuditorError):
    """The process that runs the model crashed, hung, or outgrew its memory."""

    slug = "subject_lost"


class ModelCrashedError(SubjectLostError):
    """The process that runs the model died."""

    slug = "model_crashed"


class ModelTimeoutError(SubjectLostError):
    """The process that runs the model did not answer in time, and was ended."""

    slug = "model_hung"


class ModelOutOfMemoryError(SubjectLostError):
    """The model asked for more memory than its limit."""

    slug = "model_out_of_memory"


class EndpointLostError(SubjectLostError):
    """A server cannot be reached, or broke off, however often it was asked again."""

    slug = "endpoint_lost"


class TargetChangedError(AuditorError):
    """What answers is no longer what was met first, so that its answers are no evidence of it."""

    slug = "target_changed"


class ModelFailedError(AuditorError):
    """The runtime refused the model or a batch; the process that runs it lives on."""

    slug = "model_failed"


class RecipeError(AuditorError):
    """Code that should train a model failed, took too long, or answered in another shape."""

    slug = "recipe_failed"


class ShadowsError(AuditorError):
    """A ready shadow model cannot be opened, failed, or answered in another shape."""

    slug = "shadows_failed"


class BrowserMissingError(InvalidInputError):
    """A page is to be printed, and there is no browser that can, or it does not."""

    slug = "browser_missing"


class RuntimeMissingError(AuditorError):
    """A target needs a runtime, an emulator or a server that is not to be had here."""

    slug = "runtime_missing"


class LimitReachedError(AuditorError):
    """Going on would break a limit on queries, time or money that the user set."""

    slug = "limit_reached"


class TwinError(AuditorError):
    """No differentiable twin of the model can be built, or it is not the same function."""

    slug = "twin_unusable"


class MissingExtraError(AuditorError):
    """An optional dependency is not installed."""

    slug = "needs_extra"


class BrokenCheckError(AuditorError):
    """A check does not import, claims a taken id, or breaks its own contract."""

    slug = "check_broken"


class BrokenSpecimenError(AuditorError):
    """A specimen of the selftest cannot be made or tried, so that it shows nothing."""

    slug = "specimen_broken"


class LedgerError(InvalidInputError):
    """A ledger's checkpoint, proof, leaf or key is malformed, or does not hold."""

    slug = "ledger_invalid"


class WitnessLostError(AuditorError):
    """A witness of the ledger cannot be reached."""

    slug = "witness_lost"


class TimestampAuthorityLostError(AuditorError):
    """A time-stamping authority cannot be reached."""

    slug = "clock_lost"


class StoreError(AuditorError):
    """The store cannot be opened, or does not hold what was asked for."""

    slug = "store_unavailable"


class CancelledError(AuditorError):
    """The user stopped the audit."""

    slug = "cancelled"


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


class RequestTooLargeError(InvalidInputError):
    """What was sent is larger than the service takes."""

    slug = "too_large"


class RequestTooSlowError(InvalidInputError):
    """The body of a call comes so slowly that nobody waits for the rest of it."""

    slug = "too_slow"


class RateLimitError(InvalidInputError):
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


class WebhookError(InvalidInputError):
    """A web hook names an address that this service does not send to."""

    slug = "hook_invalid"


class MalformedRequestError(InvalidInputError):
    """A call of the service is malformed: its path, its query, a header or its body."""

    slug = "call_invalid"


class StateConflictError(InvalidInputError):
    """What was asked cannot be done to a thing in the state in which it is."""

    slug = "state_conflict"


class ServiceRefusedError(InvalidInputError):
    """A service refused what a client asked; ``kind`` is the word that its problem goes by."""

    slug = "service_refused"

    def __init__(self, problem: str, *, cure: str, kind: str = "") -> None:
        super().__init__(problem, cure=cure)
        self.kind = kind


class ServiceUnreachableError(AuditorError):
    """A service cannot be reached, or the line to it broke and did not come back."""

    slug = "service_unreachable"


class ServiceFailedError(AuditorError):
    """A service failed at what was asked of it: a call, or an audit that gave no record."""

    slug = "service_failed"


EARLIER = re.compile(r"(?:Install it: |Run `)?pip install 'auditor\[([a-z0-9,-]+)\]'`?")
"""How records of earlier versions say it."""
SAID = re.compile(r"Install auditor's extra `([a-z0-9,-]+)` from where auditor came")


def suggest_install(extras: str) -> str:
    """Return what to do about missing extras, as records say it: they hold no machine's paths."""
    return f"Install auditor's extra `{extras}` from where auditor came"


def update_install_wording(text: str) -> str:
    """Return ``text`` with what earlier versions said of extras as it is said today."""
    return EARLIER.sub(lambda found: suggest_install(found[1]), text)


def find_raise_site(error: BaseException) -> str:
    """Return the function and the line in which it was raised, or nothing where none is known."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "" if frame is None else f"{frame.tb_frame.f_code.co_name}, line {frame.tb_lineno}"
