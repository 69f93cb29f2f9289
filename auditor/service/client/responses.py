"""Responses of a service, as values."""

from dataclasses import dataclass

from auditor.domain.json import Json, JsonPart, read_fields
from auditor.domain.verification_steps import VerificationStep
from auditor.service.domain.submissions import SubmissionFailure, SubmissionState


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStatus:
    """How far an audit is; ``record`` is the digest of what it came to, or it failed so."""

    id: str
    state: SubmissionState
    source: str
    targets: tuple[str, ...]
    submitted: str
    record: str | None
    verdict: str | None
    problem: str | None
    cure: str | None

    @classmethod
    def from_json(cls, found: Json, place: str) -> "AuditStatus":
        """Read it from an answer. Raises ``RecordError``."""
        part = JsonPart(found, place)
        failure = part.maybe("failure", SubmissionFailure)
        problem, cure = (failure.problem, failure.cure) if failure else (None, None)
        return read_fields(cls, part, problem=problem, cure=cure)


@dataclass(frozen=True, slots=True)
class SealedSetSummary:
    """Data that a service's auditor holds: its name, its role, and the digest of its file."""

    name: str
    role: str
    digest: str


@dataclass(frozen=True, slots=True)
class ServedTarget:
    """A target of a service, and whether somebody works for it now."""

    name: str
    live: bool


@dataclass(frozen=True, slots=True)
class ServiceCapabilities:
    """What a service audits on, and whether it runs the code of recipes."""

    targets: tuple[ServedTarget, ...]
    recipes: bool


@dataclass(frozen=True, slots=True)
class ServedPolicy:
    """A policy that comes with a service."""

    name: str
    version: str
    description: str


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file of an audit's folder, by its name there."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedGateAnswer:
    """Whether a gate opens, by which steps, and the record and the audit that were asked."""

    open: bool
    steps: tuple[VerificationStep, ...]
    record: str | None
    audit: str | None


@dataclass(frozen=True, slots=True)
class ServedVerdict:
    """A record that a service judged again, by its digest, and its verdict now."""

    digest: str
    verdict: str


@dataclass(frozen=True, slots=True)
class ServedDecision:
    """A decision that a service keeps, and the records that it judged again for it."""

    digest: str
    rejudged: tuple[ServedVerdict, ...]
