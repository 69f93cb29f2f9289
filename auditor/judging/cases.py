"""Cases: what is judged, one rule on one target at one place."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.policies import Effect, Rule
from auditor.domain.verdicts import Outcome
from auditor.judging.asking import Asked
from auditor.judging.docket import Docket
from auditor.judging.parts import Key, Part, parts
from auditor.judging.rules import Judgement


@dataclass(frozen=True, slots=True)
class Question:
    """One rule asked of one target."""

    rule: Rule
    asked: Asked

    def parts(self, docket: Docket) -> Mapping[Key, Part]:
        """Return what the rule is judged by, at each place that it is asked for."""
        return {part.key: part for part in parts(self.rule, self.asked.target, docket)}


@dataclass(frozen=True, slots=True)
class Case:
    """One question at one place, and what came of it at the rule's own level."""

    question: Question
    part: Part
    judgement: Judgement

    @property
    def required(self) -> bool:
        """Whether a failure of this case would fail the audit."""
        applies = self.judgement.outcome is not Outcome.NOT_APPLICABLE
        return self.question.rule.effect is Effect.DENY and applies
