"""An agent's assignment: the check that it is to run, as the service states it."""

from dataclasses import dataclass

from auditor.domain.json import Json, JsonPart, read_fields
from auditor.domain.requests import ServiceAdditions
from auditor.domain.trust_context import StoredTrustState
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
    def from_json(cls, found: Json, place: str) -> "AgentAssignment":
        """Read it from an answer. Raises ``RecordError`` and ``SubmissionError``."""
        part = JsonPart(found, place)
        submission = Submission.from_json(part.value.get("submission"))
        key = ShardKey(
            submission=submission.id,
            target=part.get("target", str),
            check=part.get("check", str),
            shard=part.get("shard", str),
        )
        return read_fields(cls, part, key=key, submission=submission)
