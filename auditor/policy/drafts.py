"""A policy file that has the right shape and is not yet known to make sense."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from auditor.documents import Document, Place
from auditor.domain.checks import Check, Metric
from auditor.domain.policies import Anchor, Anchored, Limits
from auditor.domain.readings import Unit
from auditor.errors import PolicyError
from auditor.packs.catalogues import Catalogue
from auditor.packs.quantities import NUMBER, QUANTITY, in_unit
from auditor.packs.remarks import Level, Remark
from auditor.packs.shapes import ANCHORED, REFERENCE, Limit, PolicyShape, RuleShape

End: TypeAlias = float | Anchor | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy file, and the checks and catalogues that it must agree with.

    ``refused`` is what it changes of the policies that it extends and may not.
    """

    document: Document
    shape: PolicyShape
    checks: Mapping[str, type[Check]]
    catalogues: Mapping[str, Catalogue]
    refused: tuple[Remark, ...] = ()

    @property
    def entries(self) -> tuple["Entry", ...]:
        """The rules with their places."""
        return tuple(self.entry(index) for index in range(len(self.shape.rules)))

    def entry(self, index: int) -> "Entry":
        """Return the rule at an index with its place."""
        return Entry(self, index, self.shape.rules[index])

    def remark(self, place: Place, mistake: PolicyError) -> Remark:
        """Say that something outside the rules is wrong."""
        where = self.document.where(place)
        return Remark(Level.ERROR, where, "", mistake.problem, mistake.cure)

    def written(self, limit: Limit) -> float | str:
        """Return a limit, or the param that it names, as a number or one with its unit.

        Raises ``PolicyError`` for a param that is none.
        """
        found = None if isinstance(limit, float) else REFERENCE.fullmatch(limit)
        if found is None:
            return limit
        value = self.shape.params.get(found.group(1))
        if isinstance(value, str) and QUANTITY.fullmatch(value):
            return value
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
    def anchored(self) -> Anchored | None:
        """The rule's limits where one is taken from elsewhere; nothing where none is.

        Raises ``PolicyError`` as ``limits`` does.
        """
        least, most = self._ends()
        ends = (least, most)
        return Anchored(least, most) if any(isinstance(end, Anchor) for end in ends) else None

    @property
    def limits(self) -> Limits | None:
        """The rule's limits as numbers in the metric's own unit.

        Raises ``PolicyError`` for an unknown parameter, and for a unit that does not fit.
        """
        least, most = self._ends()
        if isinstance(least, Anchor) or isinstance(most, Anchor):
            return None
        return None if least is None and most is None else Limits(least, most)

    def _ends(self) -> tuple[End, End]:
        rule, end = self.rule, self._end
        if rule.within is not None:
            least, most = rule.within
            return end(least), end(most)
        return (
            None if rule.at_least is None else end(rule.at_least),
            None if rule.at_most is None else end(rule.at_most),
        )

    def _end(self, limit: Limit) -> float | Anchor:
        found = None if isinstance(limit, float) else ANCHORED.fullmatch(limit)
        if found is None:
            return self._number(limit)
        margin = found["margin"]
        if margin is None:
            return Anchor(found["claim"])
        number = self._number(float(margin) if NUMBER.fullmatch(margin) else margin)
        return Anchor(found["claim"], number if found["sign"] == "+" else -number)

    def _number(self, limit: Limit) -> float:
        value = self.draft.written(limit)
        if isinstance(value, float):
            return value
        unit = Unit.NONE if self.metric is None else self.metric.unit
        return in_unit(value, unit, self.rule.measure)

    def error(self, key: str, problem: str, cure: str) -> Remark:
        """Say that a setting of the rule is wrong."""
        return self._remark(Level.ERROR, key, problem, cure)

    def warning(self, key: str, problem: str, cure: str) -> Remark:
        """Say that a setting of the rule is doubtful."""
        return self._remark(Level.WARNING, key, problem, cure)

    def _remark(self, level: Level, key: str, problem: str, cure: str) -> Remark:
        where = self.draft.document.where(("rules", self.index, *key.split(".")))
        return Remark(level, where, self.rule.id, problem, cure)
