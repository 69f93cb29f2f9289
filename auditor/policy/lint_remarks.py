"""Lint remarks: the messages of the policy linter, with their levels."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.json import write_fields


class LintLevel(StrEnum):
    """Whether a policy with this remark can be used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LintRemark:
    """One mistake or doubt: where it stands, in which rule, what it is, and its cure."""

    level: LintLevel
    where: str
    rule: str
    problem: str
    cure: str

    to_json = write_fields

    def __str__(self) -> str:
        """Place, rule and problem on one line."""
        rule = f"rule {self.rule}: " if self.rule else ""
        return f"{self.where}: {rule}{self.problem}"
