"""A target that is slow, or costly, bears only so much of an audit."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar, cast

import numpy as np
import pytest
from evasion_toys import ToyModel, box, classes, subject
from watching import Nobody

from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Blob
from auditor.domain.model_instrumentation import ModelBench
from auditor.domain.models import Twin
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import FEWEST_AT_ONCE, PARTS, RowsInTime, TimeAllowance

SIZE = AuditSize(rows=50, classes=2)
LIMITED = TargetSpec("slow", seconds=10.0)


@dataclass(frozen=True)
class Dear(AccuracyCheck):
    """A check that asks about many rows."""

    id: ClassVar[str] = "quality.dear"
    asked: int = 1000

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(queries=self.asked)


def model(queries: int, busy: float) -> ToyModel:
    return ToyModel(lambda x: x @ np.eye(2), queries=queries, busy=busy)


def test_without_a_limit_everything_is_affordable() -> None:
    allowance = TimeAllowance(TargetSpec("cpu"), SIZE)
    assert allowance.over(Dear(asked=10**9), model(100, 100.0)) is None


def test_a_check_beyond_the_limit_is_left_out_with_its_figures() -> None:
    """100 rows took 1 s: 1,000 more take 10 s, and 9 s are left."""
    gap = TimeAllowance(LIMITED, SIZE).over(Dear(asked=1000), model(100, 1.0))
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.OVER_BUDGET
    assert "1,000 queries at 10 ms a row would take 10 s" in gap.detail
    assert "9.0 s are left" in gap.detail


@pytest.mark.parametrize(("asked", "fits"), [(900, True), (901, False), (0, True)])
def test_the_limit_is_where_it_says(asked: int, fits: bool) -> None:  # noqa: FBT001 -- a case
    assert (TimeAllowance(LIMITED, SIZE).over(Dear(asked=asked), model(100, 1.0)) is None) is fits


def test_the_cheapest_check_goes_first_and_results_keep_their_order() -> None:
    dear, cheap = Dear(asked=5000), Dear(asked=5)
    assert TimeAllowance(LIMITED, SIZE).in_order([dear, cheap]) == (cheap, dear)
    assert TimeAllowance(TargetSpec("cpu"), SIZE).in_order([dear, cheap]) == (dear, cheap)


def seen(spec: TargetSpec) -> Subject:
    rows = np.random.default_rng(0).random((50, 2))
    absent = Gap(reason=GapReason.NEEDS_TWIN, detail="absent", cure="none")
    target = model(100, 1.0)
    found = subject(target, absent, rows, rows.argmax(axis=1), box((2,)), classes(2))
    return replace(found, target=spec)


def test_an_audit_of_a_limited_target_measures_what_it_can_and_says_what_it_left_out() -> None:
    kept: list[Blob] = []
    checks = [Dear(asked=5000), AccuracyCheck()]
    left, done = observe_checks(
        checks, seen(LIMITED), kept.append, Nobody(), TimeAllowance(LIMITED, SIZE)
    )
    assert isinstance(left, Gap)
    assert (left.reason, left.check, left.target) == (GapReason.OVER_BUDGET, "quality.dear", "slow")
    assert isinstance(done, ObservedCheck)
    both = observe_checks(
        checks,
        seen(TargetSpec("cpu")),
        kept.append,
        Nobody(),
        TimeAllowance(TargetSpec("cpu"), SIZE),
    )
    assert all(isinstance(item, ObservedCheck) for item in both)


@dataclass
class PacedModel(ToyModel):
    """A model that tells the pace of its fastest request."""

    pace: float = 0.0


def paced(pace: float, queries: int = 0, busy: float = 0.0) -> PacedModel:
    return PacedModel(lambda x: x @ np.eye(2), queries=queries, busy=busy, pace=pace)


SMOKE = TimeAllowance(TargetSpec("cpu"), SIZE, Budget.SMOKE)


@pytest.mark.parametrize(("asked", "fits"), [(2900, True), (2901, False), (0, True)])
def test_a_smoke_audit_takes_two_minutes_of_target_time(asked: int, *, fits: bool) -> None:
    """At 40 ms a row 3,000 rows take 120 s, and 100 were scored."""
    gap = SMOKE.over(Dear(asked=asked), paced(0.04, queries=100))
    assert (gap is None) is fits
    if gap is not None:
        assert gap.reason is GapReason.OVER_BUDGET
        assert "2,901 queries at 40 ms a row would take 2 min at most" in gap.detail
        assert "of the 2 min that this audit may take on cpu, 2 min are left" in gap.detail


@pytest.mark.parametrize(
    ("allowance", "most"),
    [
        (TimeAllowance(TargetSpec("cpu"), SIZE, Budget.CI), 900),
        (TimeAllowance(TargetSpec("cpu"), SIZE, Budget.FULL), 14_400),
        (TimeAllowance(TargetSpec("cpu"), SIZE, Budget.CI, seconds=60.0), 60),
        (TimeAllowance(TargetSpec("cpu"), SIZE, Budget.SMOKE, seconds=3600.0), 3600),
        (TimeAllowance(TargetSpec("cpu"), SIZE), 10**9),
    ],
)
def test_each_budget_has_its_minutes_unless_the_audit_asks_for_others(
    allowance: TimeAllowance, most: int
) -> None:
    assert allowance.over(Dear(asked=most - 1), paced(1.0, queries=1)) is None
    if most < 10**9:
        assert allowance.over(Dear(asked=most), paced(1.0, queries=1)) is not None


def test_a_busy_machine_leaves_nothing_out_of_a_smoke_audit() -> None:
    """Only the fastest request counts, however long the others had to wait."""
    assert SMOKE.over(Dear(asked=100_000), paced(1e-4, queries=100, busy=3600.0)) is None
    assert SMOKE.over(Dear(asked=100_000), model(100, 3600.0)) is None, "nobody told a pace"


def test_passes_of_a_twin_are_worth_three_rows_and_count_in_a_smoke_audit() -> None:
    @dataclass(frozen=True)
    class Climbing(Dear):
        def cost(self, size: AuditSize) -> CheckCost:
            return CheckCost(queries=300, passes=900)

    twin = cast("Twin", SimpleNamespace(passes=0))
    spent = cast("Twin", SimpleNamespace(passes=1))
    assert SMOKE.over(Climbing(), paced(0.04), twin=twin) is None
    assert SMOKE.over(Climbing(), paced(0.04), twin=spent) is not None
    assert SMOKE.over(Climbing(), paced(0.04, queries=1), twin=twin) is not None


def test_rows_of_altered_sessions_count_in_a_smoke_audit() -> None:
    bench = cast("ModelBench", SimpleNamespace(queries=100, busy=0.0))
    assert SMOKE.over(Dear(asked=2900), paced(0.04), bench) is None
    assert SMOKE.over(Dear(asked=2901), paced(0.04), bench) is not None


def test_a_served_model_has_the_limits_of_its_owner_alone() -> None:
    served = TimeAllowance(TargetSpec("far", runtime="endpoint"), SIZE, Budget.SMOKE)
    assert served.over(Dear(asked=10**9), paced(1.0, queries=1)) is None


def test_a_smoke_audit_measures_what_fits_and_says_what_it_left_out() -> None:
    kept: list[Blob] = []
    checks = [Dear(asked=5000), AccuracyCheck()]
    slow = replace(seen(TargetSpec("cpu")), model=paced(0.04), budget=Budget.SMOKE)
    left, done = observe_checks(checks, slow, kept.append, Nobody(), SMOKE)
    assert isinstance(left, Gap)
    assert (left.reason, left.check, left.target) == (GapReason.OVER_BUDGET, "quality.dear", "cpu")
    assert isinstance(done, ObservedCheck)
    both = observe_checks(checks, slow, kept.append, Nobody(), replace(SMOKE, budget=Budget.CI))
    assert all(isinstance(item, ObservedCheck) for item in both)


def test_a_twin_is_wanted_only_for_checks_that_fit() -> None:
    @dataclass(frozen=True)
    class Climber(Dear):
        needs: ClassVar[frozenset[Need]] = frozenset({Need.TWIN})

    allowance = TimeAllowance(LIMITED, SIZE)
    assert allowance.wants_twin([Climber(asked=10)], model(100, 1.0))
    assert not allowance.wants_twin([Climber(asked=5000)], model(100, 1.0))


@dataclass(frozen=True)
class Climb(AccuracyCheck):
    """A check that may be cut: each of its rows takes so many queries beside its clean score."""

    id: ClassVar[str] = "quality.climb"
    by_parts: ClassVar[bool] = True
    rows: int = 50
    each: int = 100

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(queries=size.rows + self.rows * self.each, clean=size.rows)


RULE = Rule(
    id="climbs",
    title="It climbs",
    severity=Severity.HIGH,
    effect=RuleEffect.DENY,
    check=Climb.id,
    metric="accuracy",
    limits=MetricLimits(least=0.5),
)


@pytest.mark.parametrize("seconds", [20.0, 60.0, 110.0])
@pytest.mark.parametrize("before", [(), (AccuracyCheck(),)])
def test_a_plan_foresees_the_rows_by_which_the_audit_begins(
    seconds: float, before: tuple[Check, ...]
) -> None:
    """Of 2 s clean scores take, and 4 s each row beyond."""
    checks = (*before, Climb())
    allowance = TimeAllowance(TargetSpec("cpu"), SIZE, Budget.SMOKE, seconds=seconds, checks=checks)
    slow = replace(seen(TargetSpec("cpu")), model=paced(0.04))
    foreseen = allowance.foresee(checks, slow)[Climb.id]
    assert foreseen == int((seconds - 2) / 4)
    if before:
        slow.scores(DatasetRole.EVALUATION)
    limit = allowance.limit_rows(Climb(), slow)
    assert isinstance(limit, RowsInTime)
    assert limit.first == max(1, foreseen // PARTS, min(foreseen // 2, FEWEST_AT_ONCE))
    assert allowance.count_looks(Climb()) == limit.plan_looks(50) == 0, "no rule is judged"
    judged = replace(allowance, rules=(RULE,))
    again = judged.limit_rows(Climb(), slow)
    assert judged.count_looks(Climb()) == again.plan_looks(50) == 3, "after 10, 20 and 40 rows"


def test_clean_scores_do_not_crowd_out_what_comes_after_them() -> None:
    """50 rows at 1 s are scored once: three checks that look at them fit into 60 s."""

    @dataclass(frozen=True)
    class Look(Dear):
        def cost(self, size: AuditSize) -> CheckCost:
            return CheckCost(queries=size.rows, clean=size.rows)

    allowance = TimeAllowance(TargetSpec("cpu"), SIZE, Budget.SMOKE, seconds=60.0)
    looks = tuple(Look(asked=number) for number in range(3))
    slow = replace(seen(TargetSpec("cpu")), model=paced(1.0))
    assert allowance.foresee(looks, slow) == {}
    slow.scores(DatasetRole.EVALUATION)
    assert all(allowance.refuse(look, slow) is None for look in looks)
    forgetful = replace(slow, model=replace(paced(1.0), deterministic=False), clean={})
    assert isinstance(allowance.foresee(looks, forgetful)["quality.dear"], Gap)
