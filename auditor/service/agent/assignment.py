"""What an agent is given to do, as the service says it."""

from dataclasses import dataclass

from auditor.domain.json import JsonPart, build_field_error
from auditor.domain.requests import ServiceAdditions, read_service_additions
from auditor.domain.trust import StoredTrustState, read_trust_state
from auditor.service.domain.submissions import ShardKey, Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAssignment:
    """A lease of one shard: it is over ``seconds`` after the last word, if none follows.

    ``request`` is the digest of what was registered, at ``registered``, and ``turn`` what the
    service added there to what was asked; ``code`` is the digest of its own code.
    """

    lease: str
    seconds: int
    key: ShardKey
    submission: Submission
    registered: str
    request: str
    turn: ServiceAdditions
    known: StoredTrustState
    code: str

    @classmethod
    def read(cls, part: JsonPart) -> "AgentAssignment":
        """Read it from an answer. Raises ``RecordError`` and ``SubmissionError``."""
        submission = Submission.from_json(part.value.get("submission"))
        key = ShardKey(
            submission=submission.id,
            target=part.get("target", str),
            check=part.get("check", str),
            shard=part.get("shard", str),
        )
        return cls(
            lease=part.get("lease", str),
            seconds=part.get("seconds", int),
            key=key,
            submission=submission,
            registered=part.get("registered", str),
            request=part.get("request", str),
            turn=read_service_additions(part.part("turn")),
            known=_remembered(part),
            code=part.get("code", str),
        )


def _remembered(part: JsonPart) -> StoredTrustState:
    try:
        return read_trust_state(part.mapping("known"))
    except (KeyError, TypeError, ValueError):
        raise build_field_error(f"{part.place}.known", "what a store remembers") from None
