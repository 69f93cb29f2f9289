"""The result of comparing two records: changed figures, changed findings, and other differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.findings import ACCEPTABLE, Outcome, Verdict
from auditor.domain.json import Json, write_fields
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import ConfidenceInterval, Gap, Measurement, Scalar

SCHEMA = "auditor/comparison/v1"


class ComparisonDirection(StrEnum):
    """Where something moved; ``OTHER`` where neither end is better, or nobody says which."""

    WORSE = "worse"
    BETTER = "better"
    OTHER = "otherwise"
    SAME = "same"


class ComparisonConclusion(StrEnum):
    """What a comparison comes to, in a word; the first that holds."""

    FIGURES = "figures_got_worse"
    VERDICT = "no_pass_any_more"
    RULES = "rules_not_kept"
    DECLARED = "declarations_changed"
    NOTHING = "nothing_got_worse"


class ChangeBasis(StrEnum):
    """What a figure's change rests on."""

    ROWS = "row_by_row"
    INTERVALS = "both_intervals"
    EXACT = "exact"
    DOUBTED = "doubted"
    MOMENT = "of_the_moment"


@dataclass(frozen=True, slots=True)
class MetricPlace:
    """Where a figure is found in a record: the same place in two records is the same question."""

    target: str
    check: str
    metric: str
    params: tuple[tuple[str, Scalar], ...]
    slice: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, measurement: Measurement) -> "MetricPlace":
        """Return the place of a measurement."""
        return cls(
            measurement.target,
            measurement.check,
            measurement.metric,
            tuple(sorted(measurement.params.items())),
            tuple(sorted(measurement.slice.items())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """One figure before and after, and what may be said of its change.

    ``change`` is after less before, at the records' confidence; nothing for what has no interval.
    ``alone`` says whether its interval leaves zero out, ``way`` what is left of that after
    correction over all figures compared. A doubted figure never moves. One of the moment (a time,
    memory, or what no two runs repeat) moves only if both runs are far apart, and
    never for the worse.
    """

    before: Measurement
    after: Measurement
    basis: ChangeBasis
    change: ConfidenceInterval | None = None
    alone: bool = False
    way: ComparisonDirection = ComparisonDirection.SAME

    @property
    def place(self) -> MetricPlace:
        """Where the figure is found."""
        return MetricPlace.of(self.after)

    def to_json(self) -> dict[str, Json]:
        """Return the comparison's form."""
        change = self.change
        return {
            "target": self.after.target,
            "check": self.after.check,
            "metric": self.after.metric,
            "params": dict(self.after.params),
            "slice": dict(self.after.slice),
            "unit": self.after.unit.value,
            "bound": self.after.bound.value,
            "before": _figure(self.before),
            "after": _figure(self.after),
            "basis": self.basis.value,
            "change": None if change is None else write_fields(change),
            "alone": self.alone,
            "way": self.way.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChange:
    """One finding before and after; ``None`` where a record has no such rule."""

    rule: str
    target: str
    slice: Mapping[str, Json]
    title: str
    effect: RuleEffect
    before: Outcome | None
    after: Outcome | None
    asked_before: str
    asked_after: str

    @property
    def changed(self) -> bool:
        """Whether it came out otherwise."""
        return self.before is not self.after

    @property
    def lost(self) -> bool:
        """Whether a denying rule that was kept is not kept any more."""
        gone = self.after is Outcome.FAILED or self.after is Outcome.UNKNOWN
        return self.effect is RuleEffect.DENY and self.before in ACCEPTABLE and gone

    @property
    def newly_failed(self) -> bool:
        """Whether a denying rule that was undecided fails now."""
        undecided = self.before is Outcome.UNKNOWN
        return self.effect is RuleEffect.DENY and undecided and self.after is Outcome.FAILED

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class ContextDifference:
    """Something else than a figure that differs; empty where a record does not have it."""

    name: str
    before: str
    after: str

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class IncomparableCheck:
    """A check on a target whose two observations do not answer one question, and why."""

    target: str
    check: str
    reason: str

    to_json = write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordComparison:
    """Two records side by side, the figures that got worse first.

    ``verdicts`` are those of both records. ``compared`` counts the figures that could have moved,
    over which chance is corrected. ``declared`` is what the owner or the policy set otherwise;
    figures that rest on it are ``incomparable``.
    ``only_before`` and ``only_after`` are measurements that the other record does not have,
    ``gaps_closed`` and ``gaps_opened`` what is missing in one of them alone.
    """

    before: str
    after: str
    verdicts: tuple[Verdict, Verdict]
    confidence: float
    compared: int
    moved: tuple[MetricChange, ...]
    findings: tuple[FindingChange, ...]
    declared: tuple[ContextDifference, ...]
    differences: tuple[ContextDifference, ...]
    incomparable: tuple[IncomparableCheck, ...]
    only_before: tuple[Measurement, ...]
    only_after: tuple[Measurement, ...]
    gaps_closed: tuple[Gap, ...]
    gaps_opened: tuple[Gap, ...]

    @property
    def worse(self) -> tuple[MetricChange, ...]:
        """The figures that got worse beyond their intervals."""
        return tuple(item for item in self.moved if item.way is ComparisonDirection.WORSE)

    @property
    def alone(self) -> int:
        """How many figures would have moved if each had been the only one."""
        return sum(item.alone for item in self.moved if item.change is not None)

    @property
    def proven(self) -> int:
        """How many of these moved after correction too."""
        return sum(
            item.way is not ComparisonDirection.SAME
            for item in self.moved
            if item.change is not None
        )

    @property
    def got_worse(self) -> bool:
        """Whether a figure got worse beyond its interval, a pass is none any more, a rule that was
        kept no longer is, or one that was undecided fails.
        """
        harmless = {ComparisonConclusion.NOTHING, ComparisonConclusion.DECLARED}
        return self.conclusion not in harmless

    @property
    def undecided(self) -> bool:
        """Whether nothing got worse only because a changed declaration left figures uncompared."""
        declared = self.conclusion is ComparisonConclusion.DECLARED
        changes = [f"{it.name} {it.before}" for it in self.declared]
        return declared and any(
            change in item.reason for item in self.incomparable for change in changes
        )

    @property
    def conclusion(self) -> ComparisonConclusion:
        """What it comes to: a figure that got worse first, then what was decided."""
        before, after = self.verdicts
        if self.worse:
            return ComparisonConclusion.FIGURES
        if before is Verdict.PASS is not after:
            return ComparisonConclusion.VERDICT
        if any(item.lost or item.newly_failed for item in self.findings):
            return ComparisonConclusion.RULES
        return ComparisonConclusion.DECLARED if self.declared else ComparisonConclusion.NOTHING

    def to_json(self) -> dict[str, Json]:
        """Return the comparison as JSON."""
        return {
            "schema": SCHEMA,
            "before": self.before,
            "after": self.after,
            "confidence": self.confidence,
            "correction": "holm",
            "compared": self.compared,
            "moved_alone": self.alone,
            "moved_after_correction": self.proven,
            "got_worse": self.got_worse,
            "conclusion": self.conclusion.value,
            "verdicts": [verdict.value for verdict in self.verdicts],
            "figures": [item.to_json() for item in self.moved],
            "findings": [item.to_json() for item in self.findings],
            "declared": [item.to_json() for item in self.declared],
            "differences": [item.to_json() for item in self.differences],
            "incomparable": [item.to_json() for item in self.incomparable],
            "only_before": [item.to_json() for item in self.only_before],
            "only_after": [item.to_json() for item in self.only_after],
            "gaps_closed": [item.to_json() for item in self.gaps_closed],
            "gaps_opened": [item.to_json() for item in self.gaps_opened],
        }


def _figure(measurement: Measurement) -> dict[str, Json]:
    return {
        "value": measurement.value,
        "low": measurement.low,
        "high": measurement.high,
        "confidence": measurement.confidence,
        "n": measurement.n,
        "method": measurement.method,
        "doubted": measurement.doubted,
    }
