"""What becomes of failures after correction over all that could have failed."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache

from auditor.domain.verdicts import Outcome
from auditor.judging.cases import Case
from auditor.judging.context import ReadingsAt
from auditor.judging.docket import Docket
from auditor.judging.family import step_down
from auditor.judging.parts import Key, Part
from auditor.judging.rules import Judgement, fails, judge_part
from auditor.judging.words import percent


def corrected(cases: Sequence[Case], readings_at: ReadingsAt, confidence: float) -> list[Judgement]:
    """Return the judgements of cases, where a failure must hold for the whole family.

    A denying case that fails alone and not after Holm's correction stays unknown.
    """
    family = sum(case.required for case in cases)
    alpha = 1 - confidence
    candidates = {
        index: case
        for index, case in enumerate(cases)
        if case.required and case.judgement.outcome is Outcome.FAILED
    }
    rules = [case.question.rule for case in candidates.values()]
    again = cache(lambda level: Again.of(candidates, Docket.of(readings_at(1 - level), rules)))

    def failing_at(level: float) -> AbstractSet[int]:
        return candidates.keys() if level == alpha else again(level).failing

    failed = step_down(family, alpha, failing_at) if candidates else frozenset()
    judgements = [case.judgement for case in cases]
    for index in failed:
        judgements[index] = _sure(judgements[index], family)
    for index in candidates.keys() - failed:
        strictest = again(alpha / (family - len(failed))).judgement(index)
        judgements[index] = _doubtful(judgements[index], strictest, family, confidence)
    return judgements


@dataclass(frozen=True, slots=True)
class Again:
    """Cases to be judged anew by other readings; each has its part of them."""

    cases: Mapping[int, Case]
    docket: Docket
    parts: Mapping[int, Part]

    @classmethod
    def of(cls, cases: Mapping[int, Case], docket: Docket) -> "Again":
        """Split each question into its places once."""
        split: dict[int, Mapping[Key, Part]] = {}
        found: dict[int, Part] = {}
        for index, case in cases.items():
            question = id(case.question)
            if question not in split:
                split[question] = case.question.parts(docket)
            # A place at which there is nothing at another confidence is one that stays silent.
            found[index] = split[question].get(case.part.key, Part(case.part.place))
        return cls(cases, docket, found)

    @property
    def failing(self) -> frozenset[int]:
        """The cases that fail."""
        return frozenset(
            index
            for index, case in self.cases.items()
            if fails(case.question.rule, self.parts[index], case.question.asked)
        )

    def judgement(self, index: int) -> Judgement:
        """Judge one case with all its words."""
        question = self.cases[index].question
        return judge_part(question.rule, self.parts[index], self.docket, question.asked)


def _sure(judgement: Judgement, family: int) -> Judgement:
    if family == 1:
        return judgement
    after = f" It fails after correction over all {family} denying rules (Holm), too."
    return replace(judgement, message=judgement.message + after)


def _doubtful(alone: Judgement, strictest: Judgement, family: int, confidence: float) -> Judgement:
    why = (
        f" It fails alone at {percent(confidence)}, but not after correction over all {family} "
        "denying rules (Holm), so that it stays unknown."
    )
    return Judgement(
        Outcome.UNKNOWN,
        alone.message + why,
        alone.readings,
        strictest.would_decide or {"needs": "more rows"},
    )
