"""Signed approvals, rejections and human findings of named persons on a record.

A human finding fails its record permanently.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from auditor.domain.json import write_fields
from auditor.domain.waivers import FEWEST_WORDS, parse_waiver_time

APPROVAL_SCHEMA = "auditor/approval/v1"


class ApprovalAnswer(StrEnum):
    """What was said to a record."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What one person (``by``, in a ``role``) said to the record of the digest ``record``.

    A yes may end at ``expires``; a no ends when the same key says yes later.
    """

    schema: ClassVar[str] = APPROVAL_SCHEMA
    record: str
    record_id: str
    by: str
    role: str
    answer: ApprovalAnswer
    reason: str
    created: str
    expires: str | None = None

    to_json = write_fields

    def expired(self, now: str) -> bool:
        """Whether its time is over, or none that can be read."""
        if self.expires is None:
            return False
        ends, asked = parse_waiver_time(self.expires), parse_waiver_time(now)
        return ends is None or asked is None or asked >= ends

    def early(self, now: str) -> bool:
        """Whether it says that it was signed later than now."""
        begins, asked = parse_waiver_time(self.created), parse_waiver_time(now)
        return begins is None or asked is None or asked < begins

    def lapse(self, now: str) -> str:
        """Say why it is not in force now; nothing where it is."""
        if self.early(now):
            return f"signed at {self.created}, which is still to come"
        return f"it expired on {self.expires}" if self.expired(now) else ""

    def __str__(self) -> str:
        """Name the approval as messages do."""
        said = "approved" if self.answer is ApprovalAnswer.YES else "rejected"
        return f"{said} by {self.by} ({self.role}) at {self.created}: {self.reason}"


def find_missing_fields(by: str, role: str, reason: str, ask: str) -> Iterator[tuple[str, str]]:
    """Yield what is lacking of who says something, as what, and why, and the cure (``ask``)."""
    for name, value in (("by", by), ("role", role), ("reason", reason)):
        if not value.strip() or not value.isprintable():
            yield f"{name} is {value!r}, which is no text of one line", "Write it as a text."
    if len(reason.split()) < FEWEST_WORDS:
        problem = f"the reason is {reason!r}, which is no reason"
        yield problem, f"{ask} in {FEWEST_WORDS} words at least."


def find_approval_mistakes(approval: Approval) -> Iterator[tuple[str, str]]:
    """Yield what no approval may be, and the cure."""
    yield from find_missing_fields(approval.by, approval.role, approval.reason, "Say why")
    begins = parse_waiver_time(approval.created)
    ends = begins if approval.expires is None else parse_waiver_time(approval.expires)
    if begins is None or ends is None or ends < begins:
        yield f"it ends at {approval.expires}, before it begins", "Write a later time."


HUMAN_FINDING_SCHEMA = "auditor/finding/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanFinding:
    """What one person (``by``, in a ``role``) found wrong with the record of the digest ``record``.

    There is no such thing as a good one: it can fail a record, and never pass it.
    """

    schema: ClassVar[str] = HUMAN_FINDING_SCHEMA
    record: str
    record_id: str
    by: str
    role: str
    reason: str
    created: str

    to_json = write_fields

    def __str__(self) -> str:
        """Name the finding as messages do."""
        return f"found by {self.by} ({self.role}) at {self.created}: {self.reason}"


def find_human_finding_mistakes(finding: HumanFinding) -> Iterator[tuple[str, str]]:
    """Yield what no human finding may be, and the cure."""
    yield from find_missing_fields(finding.by, finding.role, finding.reason, "Say what is wrong")
    if parse_waiver_time(finding.created) is None:
        yield f"{finding.created!r} is no time", "Write it in UTC, as 2027-01-01T00:00:00Z."
