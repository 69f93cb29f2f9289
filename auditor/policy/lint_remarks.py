"""What lint has to say of a policy."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.json import Json


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

    def to_json(self) -> dict[str, Json]:
        """Return the form that lint prints."""
        return {
            "level": self.level.value,
            "where": self.where,
            "rule": self.rule,
            "problem": self.problem,
            "cure": self.cure,
        }

    def __str__(self) -> str:
        """Place, rule and problem on one line."""
        rule = f"rule {self.rule}: " if self.rule else ""
        return f"{self.where}: {rule}{self.problem}"
