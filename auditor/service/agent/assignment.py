"""What an agent is given to do, as the service says it."""

from dataclasses import dataclass

from auditor.domain.json_parts import Part, wrong
from auditor.domain.request_json import read_turn
from auditor.domain.requests import Turn
from auditor.domain.submissions import ShardKey, Submission
from auditor.domain.trust import Remembered, read_remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
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
    turn: Turn
    known: Remembered
    code: str

    @classmethod
    def read(cls, part: Part) -> "Assigned":
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
            turn=read_turn(part.part("turn")),
            known=_remembered(part),
            code=part.get("code", str),
        )


def _remembered(part: Part) -> Remembered:
    try:
        return read_remembered(part.mapping("known"))
    except (KeyError, TypeError, ValueError):
        raise wrong(f"{part.place}.known", "what a store remembers") from None
