"""What a service says, as values."""

from dataclasses import dataclass

from auditor.domain.json import JsonPart
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.service.domain.submissions import SubmissionState


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
    def read(cls, part: JsonPart) -> "AuditStatus":
        """Read it from an answer. Raises ``RecordError``."""
        failure = None if part.value.get("failure") is None else part.part("failure")
        return cls(
            id=part.get("id", str),
            state=part.choice("state", SubmissionState),
            source=part.get("source", str),
            targets=part.texts("targets"),
            submitted=part.get("submitted", str),
            record=part.maybe("record", str),
            verdict=part.maybe("verdict", str),
            problem=None if failure is None else failure.get("problem", str),
            cure=None if failure is None else failure.get("cure", str),
        )


@dataclass(frozen=True, slots=True)
class SealedSetSummary:
    """Data that a service's auditor holds: its name, its role, and the digest of its file."""

    name: str
    role: str
    digest: str

    @classmethod
    def read(cls, part: JsonPart) -> "SealedSetSummary":
        """Read it from an answer. Raises ``RecordError``."""
        return cls(part.get("name", str), part.get("role", str), part.get("digest", str))


@dataclass(frozen=True, slots=True)
class ServedTarget:
    """A target of a service, and whether somebody works for it now."""

    name: str
    live: bool

    @classmethod
    def read(cls, part: JsonPart) -> "ServedTarget":
        """Read it from an answer. Raises ``RecordError``."""
        return cls(part.get("name", str), part.get("live", bool))


@dataclass(frozen=True, slots=True)
class ServiceCapabilities:
    """What a service audits on, and whether it runs the code of recipes."""

    targets: tuple[ServedTarget, ...]
    recipes: bool

    @classmethod
    def read(cls, part: JsonPart) -> "ServiceCapabilities":
        """Read it from an answer. Raises ``RecordError``."""
        return cls(part.list_of("targets", ServedTarget.read), part.get("recipes", bool))


@dataclass(frozen=True, slots=True)
class ServedPolicy:
    """A policy that comes with a service."""

    name: str
    version: str
    description: str

    @classmethod
    def read(cls, part: JsonPart) -> "ServedPolicy":
        """Read it from an answer. Raises ``RecordError``."""
        texts = (part.get(name, str) for name in ("name", "version", "description"))
        return cls(*texts)


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file of an audit's folder, by its name there."""

    name: str
    digest: str
    size: int

    @classmethod
    def read(cls, part: JsonPart) -> "ServedFile":
        """Read it from an answer. Raises ``RecordError``."""
        return cls(part.get("name", str), part.get("digest", str), part.get("size", int))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedGateAnswer:
    """Whether a gate opens, by which steps, and the record and the audit that were asked."""

    open: bool
    steps: tuple[VerificationStep, ...]
    record: str | None
    audit: str | None

    @classmethod
    def read(cls, part: JsonPart) -> "ServedGateAnswer":
        """Read it from an answer. Raises ``RecordError``."""
        return cls(
            open=part.get("open", bool),
            steps=part.list_of("steps", _step),
            record=part.maybe("record", str),
            audit=part.maybe("audit", str),
        )


@dataclass(frozen=True, slots=True)
class ServedDecision:
    """A decision that a service keeps, and the records that it judged again for it, by digest."""

    digest: str
    rejudged: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, part: JsonPart) -> "ServedDecision":
        """Read it from an answer. Raises ``RecordError``."""
        judged = part.list_of(
            "rejudged", lambda it: (it.get("digest", str), it.get("verdict", str))
        )
        return cls(part.get("digest", str), judged)


def _step(part: JsonPart) -> VerificationStep:
    return VerificationStep(
        part.get("name", str), part.choice("result", StepResult), part.get("detail", str)
    )
