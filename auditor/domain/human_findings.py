"""A human finding: what a named person found wrong with a record, which fails it for good."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.approvals import unsaid
from auditor.domain.canonical import Json
from auditor.domain.json_parts import Part
from auditor.domain.waivers import moment

SCHEMA = "auditor/finding/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanFinding:
    """What one person (``by``, in a ``role``) found wrong with the record of the digest ``record``.

    There is no such thing as a good one: it can fail a record, and never pass it.
    """

    record: str
    record_id: str
    by: str
    role: str
    reason: str
    created: str

    def to_json(self) -> dict[str, Json]:
        """Return the document that is signed."""
        return {
            "schema": SCHEMA,
            "record": self.record,
            "record_id": self.record_id,
            "by": self.by,
            "role": self.role,
            "reason": self.reason,
            "created": self.created,
        }

    def __str__(self) -> str:
        """Name the finding as messages do."""
        return f"found by {self.by} ({self.role}) at {self.created}: {self.reason}"


def mistakes_of(finding: HumanFinding) -> Iterator[tuple[str, str]]:
    """Yield what no human finding may be, and the cure."""
    yield from unsaid(finding.by, finding.role, finding.reason, "Say what is wrong")
    if moment(finding.created) is None:
        yield f"{finding.created!r} is no time", "Write it in UTC, as 2027-01-01T00:00:00Z."


def read_human_finding(part: Part) -> HumanFinding:
    """Read the document. Raises ``RecordError`` for what is none."""
    return HumanFinding(
        record=part.get("record", str),
        record_id=part.get("record_id", str),
        by=part.get("by", str),
        role=part.get("role", str),
        reason=part.get("reason", str),
        created=part.get("created", str),
    )
