"""A policy file that has the right shape and is not yet known to make sense."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.documents import Document, Place
from auditor.domain.checks import Check, Metric
from auditor.domain.policies import Limits
from auditor.errors import PolicyError
from auditor.packs.catalogues import Catalogue
from auditor.packs.remarks import Level, Remark
from auditor.packs.shapes import REFERENCE, Limit, PolicyShape, RuleShape


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy file, and the checks and catalogues that it must agree with."""

    document: Document
    shape: PolicyShape
    checks: Mapping[str, type[Check]]
    catalogues: Mapping[str, Catalogue]

    def entry(self, index: int) -> "Entry":
        """Return the rule at an index with its place."""
        return Entry(self, index, self.shape.rules[index])

    def remark(self, place: Place, mistake: PolicyError) -> Remark:
        """Say that something outside the rules is wrong."""
        where = self.document.where(place)
        return Remark(Level.ERROR, where, "", mistake.problem, mistake.cure)

    def number(self, limit: Limit) -> float:
        """Return a limit as a number. Raises ``PolicyError`` for an unknown parameter."""
        if isinstance(limit, float):
            return limit
        found = REFERENCE.fullmatch(limit)
        name = "" if found is None else found.group(1)
        value = self.shape.params.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            known = ", ".join(self.shape.params) or "none"
            raise PolicyError(
                f"{limit} is not a number among the policy's params",
                cure=f"Set it under params, where there are: {known}.",
            )
        return float(value)


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule of a draft, with what its check declares."""

    draft: Draft
    index: int
    rule: RuleShape

    @property
    def check(self) -> type[Check] | None:
        """The check that measures, where there is one."""
        return self.draft.checks.get(self.rule.check)

    @property
    def metric(self) -> Metric | None:
        """What the check declares of the metric, where it emits one of that name."""
        return None if self.check is None else self.check.emits.get(self.rule.metric)

    @property
    def limits(self) -> Limits | None:
        """The rule's limits as numbers. Raises ``PolicyError`` for an unknown parameter."""
        rule, number = self.rule, self.draft.number
        if rule.at_least is not None:
            return Limits(least=number(rule.at_least))
        if rule.at_most is not None:
            return Limits(most=number(rule.at_most))
        if rule.within is not None:
            least, most = rule.within
            return Limits(number(least), number(most))
        return None

    def error(self, key: str, problem: str, cure: str) -> Remark:
        """Say that a setting of the rule is wrong."""
        return self._remark(Level.ERROR, key, problem, cure)

    def warning(self, key: str, problem: str, cure: str) -> Remark:
        """Say that a setting of the rule is doubtful."""
        return self._remark(Level.WARNING, key, problem, cure)

    def _remark(self, level: Level, key: str, problem: str, cure: str) -> Remark:
        where = self.draft.document.where(("rules", self.index, *key.split(".")))
        return Remark(level, where, self.rule.id, problem, cure)
