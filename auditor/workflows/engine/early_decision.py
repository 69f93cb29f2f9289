"""Early decision: whether what was seen of a check's rows decides the rules that ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.checks.measure import CONFIDENCE
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.findings import KEPT, Outcome
from auditor.domain.policies import Rule
from auditor.domain.readings import Reading
from auditor.policy.evaluate.readings_index import TARGET, ReadingIndex
from auditor.policy.evaluate.rules import judge_by_limits


@dataclass(frozen=True, slots=True)
class EarlyDecision:
    """Decides the rules on one check on one target from evidence of its first rows.

    ``family`` counts the rules that a failure is corrected for.
    """

    check: Check
    rules: tuple[Rule, ...]
    target: str
    family: int

    @classmethod
    def of(
        cls, check: Check, rules: Sequence[Rule], target: str, family: int
    ) -> "EarlyDecision | None":
        """Return what decides, or nothing: without rules, or with one that asks for more.

        A rule with conditions, places or a baseline is left to the judge, after all rows.
        """
        own = tuple(it for it in rules if it.check == check.id and _concerns(it, target))
        plain = all(it.limits is not None and not it.for_each and not it.require for it in own)
        return cls(check, own, target, max(1, family)) if own and plain else None

    def __call__(self, evidence: Evidence) -> bool:
        """Say whether each rule fails for the whole family, or is kept.

        A rule whose figure is missing or doubted is not decided. Whether a rule applies (``when``)
        is not asked: one that does not is waited for as well.
        """
        alone = self._index(evidence, CONFIDENCE)
        corrected = self._index(evidence, 1 - (1 - CONFIDENCE) / self.family)
        return all(
            Outcome.FAILED in self._judge(rule, corrected)
            or (bool(told := self._judge(rule, alone)) and told <= KEPT)
            for rule in self.rules
        )

    def _judge(self, rule: Rule, index: ReadingIndex) -> frozenset[Outcome]:
        if index.missing(rule, self.target):
            return frozenset()
        found = index.matching(rule, self.target)
        return frozenset(judge_by_limits(rule, reading).outcome for _, reading in found)

    def _index(self, evidence: Evidence, confidence: float) -> ReadingIndex:
        placed: list[Reading] = [
            replace(reading, target=self.target, check=self.check.id)
            for reading in self.check.figures(evidence, confidence)
        ]
        return ReadingIndex.of(placed, self.rules)


def _concerns(rule: Rule, target: str) -> bool:
    return rule.where.get(TARGET, target) == target
