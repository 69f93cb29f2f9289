"""Plans: what an audit costs, and what its rules can come to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from auditor.checks.fairness.groups import GroupFairnessCheck
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.checks.quality.errors import RegressionErrorCheck
from auditor.domain.budgets import (
    LEAST_SECONDS,
    SECONDS_A_TRAINED_ROW,
    AuditSize,
    CheckCost,
    CheckForecast,
    RowShortage,
)
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.policies import (
    MetricLimits,
    Policy,
    Rule,
    RuleEffect,
    Severity,
)
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading, Unit
from auditor.policy.plan import AuditPlan, PlanningContext, RuleProspect, plan_target


@dataclass(frozen=True, slots=True)
class Known(Check):
    """A check whose half widths are 1/sqrt(rows), so that plans can be worked out by hand."""

    id: ClassVar[str] = "quality.known"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Known precision"
    needs: ClassVar[frozenset[Need]] = frozenset()
    emits: ClassVar[Mapping[str, Metric]] = {
        "share": Metric("Share", Unit.SHARE, higher_is_better=True),
        "some_gap": Metric("Gap", Unit.SHARE, higher_is_better=False),
        "some_ratio": Metric("Ratio", Unit.NONE, higher_is_better=True),
        "slope": Metric("Slope", Unit.NONE),
        "robust": Metric("Robust", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True),
        "signed": Metric("Signed", Unit.NONE, exact=True),
        "speed": Metric("Speed", Unit.PER_SECOND, higher_is_better=True),
        "unseen": Metric("Unseen", Unit.SHARE, higher_is_better=True),
    }

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(queries=10 * size.rows, passes=5 * size.rows, seconds=1.0)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        return {name: 1 / sqrt(size.rows) for name in self.emits if name != "unseen"}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        return {}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Optimist(Known):
    """A check that foresees next to no scatter."""

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        return dict.fromkeys(self.emits, 1e-6)


RULE = Rule(
    id="share",
    title="The share is large",
    severity=Severity.HIGH,
    effect=RuleEffect.DENY,
    check="quality.known",
    metric="share",
    limits=MetricLimits(least=0.8),
)
POLICY = Policy(
    name="tests",
    version="1.0.0",
    owner="tests@example.org",
    digest="sha256:0",
    document={},
    source="tests.yaml",
    rules=(RULE,),
)
OUTLOOK = PlanningContext(size=AuditSize(rows=400, classes=2), target="cpu", targets=("cpu", "gpu"))
CHECKS = {"quality.known": Known()}


def planned(rule: Rule, outlook: PlanningContext = OUTLOOK) -> AuditPlan:
    return plan_target(replace(POLICY, rules=(rule,)), CHECKS, outlook)


def prospect(
    metric: str, limits: MetricLimits | None, rows: int = 400, *, accept: bool = False
) -> RuleProspect:
    rule = replace(RULE, metric=metric, limits=limits, accept_withstood=accept)
    outlook = replace(OUTLOOK, size=AuditSize(rows=rows, classes=2))
    return planned(rule, outlook).rules[0].foreseen.prospect


def test_costs_are_rows_times_pace_plus_the_checks_own_seconds() -> None:
    paced = replace(OUTLOOK, seconds_per_query=0.001, seconds_per_pass=0.002, price_per_hour=3600.0)
    found = planned(RULE, paced)
    assert (found.queries, found.checks[0].passes) == (4000, 2000)
    assert found.seconds == pytest.approx(4 + 4 + 1 + LEAST_SECONDS)
    assert found.price == pytest.approx(9 + LEAST_SECONDS)


def test_an_unknown_pace_makes_no_figure_up() -> None:
    found = planned(RULE)
    assert found.seconds is None
    assert found.price is None
    assert found.to_json()["seconds"] is None


@dataclass(frozen=True, slots=True)
class Clean(Known):
    """A check that looks at each evaluation row once, and at some more of its own."""

    more: int = 100

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(queries=size.rows + self.more, clean=size.rows)


def test_clean_scores_are_counted_once_an_audit() -> None:
    checks = {name: Clean() for name in ("quality.first", "quality.second", "quality.third")}
    paced = replace(OUTLOOK, seconds_per_query=0.01)
    found = plan_target(POLICY, checks, paced)
    assert [it.queries for it in found.checks] == [500, 100, 100]
    assert found.seconds == pytest.approx(7 + 3 * LEAST_SECONDS)
    forgetful = plan_target(POLICY, checks, replace(paced, remembers=False))
    assert forgetful.queries == 1500, "a model that says otherwise each time is asked each time"
    gap = Gap(reason=GapReason.NEEDS_TWIN, detail="None.", cure="None.")
    without = plan_target(POLICY, checks, replace(paced, missing={"quality.known": gap}))
    assert without.queries == 0


def test_looks_before_the_end_leave_wider_intervals() -> None:
    rule = replace(RULE, check=AccuracyCheck.id, metric="accuracy")
    policy, checks = replace(POLICY, rules=(rule,)), {AccuracyCheck.id: AccuracyCheck()}
    known = replace(OUTLOOK, looks={AccuracyCheck.id: 5})
    (alone,), (looked,) = (plan_target(policy, checks, it).rules for it in (OUTLOOK, known))
    assert alone.foreseen.half_width is not None
    assert looked.foreseen.half_width is not None
    assert 1 < looked.foreseen.half_width / alone.foreseen.half_width < 1.05


def test_a_check_that_does_without_a_twin_takes_no_gradients() -> None:
    paced = replace(OUTLOOK, seconds_per_query=0.001)
    assert planned(RULE, paced).seconds is None, "nobody timed the twin"
    found = planned(RULE, replace(paced, lacking={"quality.known": frozenset({Need.TWIN})}))
    assert found.checks[0].passes == 0
    assert found.seconds == pytest.approx(4 + 1 + LEAST_SECONDS)


def test_rows_of_the_reference_take_time() -> None:
    @dataclass(frozen=True, slots=True)
    class Compared(Known):
        def cost(self, size: AuditSize) -> CheckCost:
            return CheckCost(reference=1000)

    checks = {"quality.known": Compared()}
    assert plan_target(POLICY, checks, OUTLOOK).seconds is None, "nobody timed it"
    found = plan_target(POLICY, checks, replace(OUTLOOK, seconds_per_query=0.01))
    assert (found.queries, found.seconds) == (0, pytest.approx(10 + LEAST_SECONDS))


def test_times_of_earlier_audits_count_and_an_audit_takes_time_beside_its_checks() -> None:
    checks = {name: Clean() for name in ("quality.first", "quality.second")}
    known = replace(OUTLOOK, earlier={Clean.id: 3.0, "quality.gone": 99.0}, beside=5.0)
    found = plan_target(POLICY, {Clean.id: Clean()}, known)
    assert (found.seconds, found.timed_before, found.duration) == (8.0, 1, "about 8.0 s")
    other = plan_target(POLICY, checks, replace(known, earlier={}, seconds_per_query=0.0))
    assert (other.seconds, other.timed_before) == (pytest.approx(5 + 2 * LEAST_SECONDS), 0)


def test_predictions_are_asked_of_nobody() -> None:
    found = planned(RULE, replace(OUTLOOK, predictions_only=True))
    assert (found.queries, found.checks[0].passes, found.seconds) == (
        0, 0, pytest.approx(1 + LEAST_SECONDS),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waiting(Known):
    """A check of known time, whatever the pace of the model."""

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(seconds=120.0)


def test_where_some_times_are_known_the_plan_takes_at_least_so_long() -> None:
    waits = {**CHECKS, "quality.waiting": Waiting()}
    assert plan_target(POLICY, waits, OUTLOOK).duration == "at least 2 min"
    paced = replace(OUTLOOK, seconds_per_query=0.001, seconds_per_pass=0.002)
    assert plan_target(POLICY, waits, paced).duration == "about 2 min"
    untimed = replace(planned(RULE), checks=())
    assert replace(untimed, checks=(replace(planned(RULE).checks[0], seconds=None),)).duration == (
        "time unknown"
    )


def test_each_cure_stands_with_the_checks_and_rules_that_wait_for_it() -> None:
    first, second = planned(RULE).checks * 2
    gaps = [
        Gap(reason=GapReason.NEEDS_EXTRA, detail="", cure=f"Install auditor[{extra}].")
        for extra in ("art", "attacks")
    ]
    plan = planned(RULE)
    waiting = (
        replace(first, check="evasion.art", missing=gaps[0]),
        replace(first, check="poisoning.art", missing=gaps[0]),
        replace(second, missing=gaps[1]),
    )
    found = replace(plan, checks=waiting).missing_inputs
    assert [(it.gap.cure, it.checks, it.rules) for it in found] == [
        ("Install auditor[attacks].", ("quality.known",), ("share",)),
        ("Install auditor[art].", ("evasion.art", "poisoning.art"), ()),
    ]


@dataclass(frozen=True, slots=True)
class Retrained(Known):
    """A check that trains 1,000 rows again by the owner's recipe."""

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(seconds=1.0, trained=1000)


def test_retrainings_cost_time_where_there_is_a_recipe() -> None:
    def seconds(*lacking: Need) -> float | None:
        outlook = replace(OUTLOOK, lacking={"quality.known": frozenset(lacking)})
        return plan_target(POLICY, {"quality.known": Retrained()}, outlook).seconds

    assert seconds() == pytest.approx(1 + 1000 * SECONDS_A_TRAINED_ROW + LEAST_SECONDS)
    assert seconds(Need.RECIPE) == pytest.approx(1 + LEAST_SECONDS)


def test_what_is_missing_costs_nothing_and_answers_nothing() -> None:
    gap = Gap(
        reason=GapReason.NEEDS_TWIN, detail="There is no twin.", cure="Export a plainer graph."
    )
    found = planned(RULE, replace(OUTLOOK, missing={"quality.known": gap}))
    assert (found.queries, found.seconds) == (0, 0)
    assert found.rules[0].foreseen.prospect is RuleProspect.UNANSWERABLE
    assert "No reading can answer it: There is no twin." in found.rules[0].foreseen.message


@pytest.mark.parametrize(
    ("metric", "limits", "rows", "outcome"),
    [
        ("share", MetricLimits(least=0.8), 24, RuleProspect.NEVER),  # 1/sqrt(24) > 0.2
        ("share", MetricLimits(least=0.8), 26, RuleProspect.OPEN),
        ("share", MetricLimits(least=0.8), 400, RuleProspect.LIKELY),
        ("some_gap", MetricLimits(most=0.1), 99, RuleProspect.NEVER),
        ("some_gap", MetricLimits(most=0.1), 101, RuleProspect.OPEN),
        ("some_gap", MetricLimits(most=0.0), 10**6, RuleProspect.NEVER),
        ("some_ratio", MetricLimits(least=0.8), 24, RuleProspect.NEVER),
        ("slope", MetricLimits(0.5, 2.0), 3, RuleProspect.NEVER),
        ("slope", MetricLimits(0.5, 2.0), 100, RuleProspect.LIKELY),
        ("robust", MetricLimits(least=0.5), 400, RuleProspect.NEVER),
        ("signed", None, 1, RuleProspect.CERTAIN),
        ("speed", MetricLimits(least=100.0), 400, RuleProspect.UNFORESEEN),
        ("unseen", MetricLimits(least=0.5), 400, RuleProspect.UNFORESEEN),
        ("nothing", MetricLimits(least=0.5), 400, RuleProspect.UNANSWERABLE),
    ],
)
def test_the_half_width_is_compared_with_the_room_between_ideal_and_limit(
    metric: str, limits: MetricLimits | None, rows: int, outcome: RuleProspect
) -> None:
    assert prospect(metric, limits, rows) is outcome


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [(8, RuleProspect.NEVER), (40, RuleProspect.OPEN), (90, RuleProspect.LIKELY)],
)
def test_few_rows_leave_a_regressions_explained_variance_open(
    rows: int, outcome: RuleProspect
) -> None:
    rule = replace(RULE, check="quality.errors", metric="r2", limits=MetricLimits(least=0.5))
    outlook = replace(OUTLOOK, size=AuditSize(rows=rows, classes=1))
    policy = replace(POLICY, rules=(rule,))
    (found,) = plan_target(policy, {"quality.errors": RegressionErrorCheck()}, outlook).rules
    assert found.foreseen.prospect is outcome


def test_an_accepted_bound_can_withstand() -> None:
    assert prospect("robust", MetricLimits(least=0.5), accept=True) is RuleProspect.LIKELY


def test_the_rows_for_a_perfect_model_are_named() -> None:
    rule = replace(RULE, limits=MetricLimits(least=0.95))
    foreseen = (
        planned(rule, replace(OUTLOOK, size=AuditSize(rows=100, classes=2))).rules[0].foreseen
    )
    assert (foreseen.prospect, foreseen.rows) == (RuleProspect.NEVER, 400)
    assert "even a perfect 1 is only 0.05 from the limit" in foreseen.message


def test_the_rows_named_give_a_good_chance() -> None:
    rule = replace(RULE, metric="some_gap", limits=MetricLimits(most=0.1))
    foreseen = planned(rule).rules[0].foreseen
    assert foreseen.prospect is RuleProspect.OPEN
    assert foreseen.chance == pytest.approx(0.5)  # the half width is all of the half-way room
    assert foreseen.rows is not None
    enough = replace(OUTLOOK, size=AuditSize(rows=foreseen.rows, classes=2))
    assert planned(rule, enough).rules[0].foreseen.prospect is RuleProspect.LIKELY


def test_a_share_scatters_as_a_share_does_however_little_the_check_foresees() -> None:
    rule = replace(RULE, limits=MetricLimits(least=0.9))
    optimist = {"quality.known": Optimist()}
    outlook = replace(OUTLOOK, size=AuditSize(rows=200, classes=2))
    (found,) = plan_target(replace(POLICY, rules=(rule,)), optimist, outlook).rules
    error = sqrt(0.95 * 0.05 / 200)  # the truth half-way between 1 and the limit
    assert found.foreseen.half_width == pytest.approx(1.959964 * error)
    assert found.foreseen.chance == pytest.approx(norm.cdf(0.05 / error - 1.959964))


def test_rules_that_do_not_apply_are_named_so() -> None:
    people = replace(RULE, when='model.tags.exists(t, t == "people")')
    digits = replace(OUTLOOK, model={"tags": []})
    assert planned(people, digits).rules[0].foreseen.prospect is RuleProspect.NOT_APPLICABLE
    loans = replace(OUTLOOK, model={"tags": ["people"]})
    assert planned(people, loans).rules[0].foreseen.prospect is RuleProspect.LIKELY
    assert planned(people).rules[0].foreseen.prospect is RuleProspect.UNFORESEEN


def test_rules_are_counted_by_whether_they_are_asked_and_can_be_decided() -> None:
    people = replace(RULE, when='model.tags.exists(t, t == "people")')
    digits = replace(OUTLOOK, model={"tags": []})
    loans = replace(OUTLOOK, model={"tags": ["people"]})
    counted = [
        (len(plan.applicable), len(plan.decidable))
        for plan in (planned(people, digits), planned(people, loans), planned(people))
    ]
    # Whether the last one is asked is unknown: it counts as asked, and not as decided.
    assert counted == [(0, 0), (1, 1), (1, 0)]
    assert planned(people).to_json()["decidable"] == 0


def test_a_rule_of_another_target_is_not_asked_and_of_no_target_unanswerable() -> None:
    elsewhere = replace(RULE, where={"target": "gpu"})
    assert planned(elsewhere).rules[0].foreseen.prospect is RuleProspect.NOT_APPLICABLE
    nowhere = replace(RULE, where={"target": "tpu"})
    assert planned(nowhere).rules[0].foreseen.prospect is RuleProspect.UNANSWERABLE


@given(st.integers(0, 10**6), st.floats(0, 1), st.sampled_from(["share", "some_gap"]))
def test_more_rows_never_lower_the_chance(rows: int, limit: float, metric: str) -> None:
    limits = MetricLimits(least=limit) if metric == "share" else MetricLimits(most=limit)
    rule = replace(RULE, metric=metric, limits=limits)
    fewer, more = (
        planned(rule, replace(OUTLOOK, size=AuditSize(rows=count + 1, classes=2))).rules[0].foreseen
        for count in (rows, 4 * rows)
    )
    assert (more.chance or 0.0) >= (fewer.chance or 0.0) - 1e-12


def loans(scale: int) -> PlanningContext:
    """Return as many applicants as the mortgage data has, 197 of them Black, times ``scale``."""
    approved = {"black": (132, 65), "white": (1500, 182), "hispanic": (85, 24)}
    groups = {
        name: {"approved": scale * yes, "denied": scale * no}
        for name, (yes, no) in approved.items()
    }
    rows = sum(sum(labels.values()) for labels in groups.values())
    size = AuditSize(rows=rows, classes=2, groups={"race": groups}, favourable="approved")
    return PlanningContext(size=size, target="cpu")


def test_197_black_applicants_cannot_decide_a_gap_of_ten_points_among_those_who_qualify() -> None:
    rule = replace(
        RULE,
        check="fairness.groups",
        metric="tpr_gap",
        limits=MetricLimits(most=0.1),
        id="opportunity",
    )
    policy = replace(POLICY, rules=(rule,))
    (few,) = plan_target(policy, {"fairness.groups": GroupFairnessCheck()}, loans(1)).rules
    assert few.foreseen.prospect is RuleProspect.NEVER
    assert few.foreseen.message.startswith("Cannot pass: the interval will reach about 0.")
    assert few.foreseen.rows is not None
    assert few.foreseen.rows > 2000
    (many,) = plan_target(policy, {"fairness.groups": GroupFairnessCheck()}, loans(50)).rules
    assert many.foreseen.prospect is RuleProspect.LIKELY


class Short(Known):
    """A check that cannot tell shares of fewer than 1,000 rows."""

    emits: ClassVar[Mapping[str, Metric]] = {
        **Known.emits, "verdict": Metric("Verdict", Unit.NONE, BoundKind.AT_LEAST, exact=True)
    }  # fmt: skip

    def foretell(self, size: AuditSize) -> CheckForecast:
        lack = RowShortage("400 rows cannot carry it", 1000)
        return CheckForecast(
            ("a fifth is set aside",), {} if size.rows >= 1000 else {"share": lack}
        )


@pytest.mark.parametrize(("rows", "short"), [(400, True), (1000, False)])
def test_a_figure_that_the_rows_cannot_carry_is_not_promised(rows: int, short: bool) -> None:  # noqa: FBT001 -- of a table
    outlook = replace(OUTLOOK, size=AuditSize(rows=rows, classes=2))
    policy = replace(POLICY, rules=(replace(RULE, limits=MetricLimits(least=0.5)),))
    found = plan_target(policy, {Known.id: Short()}, outlook)
    (check,), (asked,) = found.checks, found.rules
    assert check.notes[0] == "a fifth is set aside"
    if not short:
        assert len(check.notes) == 1
        assert asked.foreseen.prospect is not RuleProspect.UNANSWERABLE
        return
    assert check.notes[1:] == (
        "no share: 400 rows cannot carry it. It takes 1,000 evaluation rows",
    )
    assert asked.foreseen.prospect is RuleProspect.UNANSWERABLE
    assert asked.foreseen.rows == 1000
    assert "400 rows cannot carry it. It takes 1,000 evaluation rows." in asked.foreseen.message


def test_a_verdict_may_stay_open_however_exact_its_words_are() -> None:
    asked = replace(RULE, metric="verdict", limits=None, require='reading.value != "shown"')
    policy = replace(POLICY, rules=(replace(asked, accept_withstood=True),))
    (found,) = plan_target(policy, {Known.id: Short()}, OUTLOOK).rules
    assert found.foreseen.prospect is RuleProspect.UNFORESEEN
    assert "inconclusive stays possible" in found.foreseen.message
