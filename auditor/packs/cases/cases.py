"""Cases of a policy: given readings, and what the policy shall make of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.domain.findings import Finding, place_text
from auditor.domain.policies import Policy
from auditor.domain.readings import Reading
from auditor.domain.verdicts import Outcome, Verdict
from auditor.judging.context import JudgingContext


@dataclass(frozen=True, slots=True)
class Expectation:
    """What shall become of a rule: everywhere, or on one target, or at one place alone.

    ``place`` is written as findings write it, as in ``[sex=F]``, with or without quotation marks;
    empty, it is any.
    """

    written: str
    rule: str
    target: str
    place: str
    outcome: Outcome

    def speaks_of(self, finding: Finding) -> bool:
        """Return whether a finding is one of those that are expected."""
        place = place_text(finding.slice)
        return (
            finding.rule == self.rule
            and self.target in {"", finding.target}
            and self.place in {"", place, place.replace('"', "")}
        )


@dataclass(frozen=True, slots=True)
class Case:
    """Readings and a context, and what shall come of them; ``where`` is its file and line."""

    name: str
    where: str
    readings: tuple[Reading, ...]
    context: JudgingContext
    outcomes: tuple[Expectation, ...]
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class PolicyTests:
    """The cases of one file, and the policy that they are of."""

    source: str
    policy: Policy
    cases: tuple[Case, ...] = field(default=())


Coverage = Mapping[str, frozenset[Outcome]]
"""Which outcomes each rule had in a file's cases, by rule."""
