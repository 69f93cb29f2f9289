"""A parsed policy that has the right shape and is not validated yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from auditor._yaml import Place, YamlDocument
from auditor.domain.checks import Check, Metric
from auditor.domain.policies import AnchoredLimits, LimitAnchor, MetricLimits
from auditor.domain.readings import Unit
from auditor.errors import PolicyError
from auditor.policy.control_catalogues import FrameworkCatalogue
from auditor.policy.evaluate.messages import (
    describe_required_answer,
    format_limits,
    format_place_phrase,
)
from auditor.policy.lint_remarks import LintLevel, LintRemark
from auditor.policy.schema import (
    ANCHORED,
    NUMBER,
    QUANTITY,
    REFERENCE,
    Limit,
    PolicySchema,
    RuleSchema,
    convert_to_unit,
)

End: TypeAlias = float | LimitAnchor | None


LIMIT = "{limit}"
"""Where a title has the limit of its rule."""


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """A policy file, and the checks and catalogues that it must agree with.

    ``refused`` is what it changes of the policies that it extends and may not.
    """

    document: YamlDocument
    shape: PolicySchema
    checks: Mapping[str, type[Check]]
    catalogues: Mapping[str, FrameworkCatalogue]
    refused: tuple[LintRemark, ...] = ()

    @property
    def entries(self) -> tuple["RuleDraft", ...]:
        """The rules with their places."""
        return tuple(self.entry(index) for index in range(len(self.shape.rules)))

    def entry(self, index: int) -> "RuleDraft":
        """Return the rule at an index with its place."""
        return RuleDraft(self, index, self.shape.rules[index])

    def remark(self, place: Place, mistake: PolicyError) -> LintRemark:
        """Say that something outside the rules is wrong."""
        where = self.document.where(place)
        return LintRemark(LintLevel.ERROR, where, "", mistake.problem, mistake.cure)

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
class RuleDraft:
    """One rule of a draft, with what its check declares."""

    draft: PolicyDraft
    index: int
    rule: RuleSchema

    @property
    def check(self) -> type[Check] | None:
        """The check that measures, where there is one."""
        return self.draft.checks.get(self.rule.check)

    @property
    def metric(self) -> Metric | None:
        """What the check declares of the metric, where it emits one of that name."""
        return None if self.check is None else self.check.emits.get(self.rule.metric)

    @property
    def title(self) -> str:
        """The requirement in one sentence, with the limit that the rule has.

        The limit stands where the policy writes ``{limit}``; a policy without a title names the
        metric. Raises ``PolicyError`` as ``limits`` does.
        """
        written = self.rule.title
        if written is None:
            name = self.rule.measure if self.metric is None else self.metric.title
            place = f" at {format_place_phrase(self.rule.where)}" if self.rule.where else ""
            return f"{name}{place}: {self.asked}"
        return written.replace(LIMIT, self.asked) if LIMIT in written else written

    @property
    def asked(self) -> str:
        """The rule's limits or condition as a phrase. Raises ``PolicyError`` as ``limits`` does."""
        unit = Unit.NONE if self.metric is None else self.metric.unit
        if self.anchored is not None:
            return self.anchored.words()
        if self.limits is not None:
            return format_limits(self.limits, unit).removeprefix("of ")
        return describe_required_answer(self.rule.require) or self.rule.require or ""

    @property
    def anchored(self) -> AnchoredLimits | None:
        """The rule's limits where one is taken from elsewhere; nothing where none is.

        Raises ``PolicyError`` as ``limits`` does.
        """
        least, most = self._ends()
        ends = (least, most)
        return (
            AnchoredLimits(least, most)
            if any(isinstance(end, LimitAnchor) for end in ends)
            else None
        )

    @property
    def limits(self) -> MetricLimits | None:
        """The rule's limits as numbers in the metric's own unit.

        Raises ``PolicyError`` for an unknown parameter, and for a unit that does not fit.
        """
        least, most = self._ends()
        if isinstance(least, LimitAnchor) or isinstance(most, LimitAnchor):
            return None
        return None if least is None and most is None else MetricLimits(least, most)

    def _ends(self) -> tuple[End, End]:
        rule, end = self.rule, self._end
        if rule.within is not None:
            least, most = rule.within
            return end(least), end(most)
        return (
            None if rule.at_least is None else end(rule.at_least),
            None if rule.at_most is None else end(rule.at_most),
        )

    def _end(self, limit: Limit) -> float | LimitAnchor:
        found = None if isinstance(limit, float) else ANCHORED.fullmatch(limit)
        if found is None:
            return self._number(limit)
        margin = found["margin"]
        if margin is None:
            return LimitAnchor(found["claim"])
        number = self._number(float(margin) if NUMBER.fullmatch(margin) else margin)
        return LimitAnchor(found["claim"], number if found["sign"] == "+" else -number)

    def _number(self, limit: Limit) -> float:
        value = self.draft.written(limit)
        if isinstance(value, float):
            return value
        unit = Unit.NONE if self.metric is None else self.metric.unit
        return convert_to_unit(value, unit, self.rule.measure)

    def error(self, key: str, problem: str, cure: str) -> LintRemark:
        """Say that a setting of the rule is wrong."""
        return self._remark(LintLevel.ERROR, key, problem, cure)

    def warning(self, key: str, problem: str, cure: str) -> LintRemark:
        """Say that a setting of the rule is doubtful."""
        return self._remark(LintLevel.WARNING, key, problem, cure)

    def _remark(self, level: LintLevel, key: str, problem: str, cure: str) -> LintRemark:
        where = self.draft.document.where(("rules", self.index, *key.split(".")))
        return LintRemark(level, where, self.rule.id, problem, cure)
