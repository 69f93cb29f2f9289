"""The rule of doubt: a bound that rests on masked gradients never passes, and may still fail."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, POLICY

from auditor.attacks.gradient_masking.caveats import BELIEVABLE, MASKING, qualify_masked_readings
from auditor.checks.evasion.corruption import CorruptionCheck
from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.checks.evasion.masking import GradientMaskingCheck
from auditor.checks.registry import discover_checks
from auditor.domain.checks import Check, Need, uses_need
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.evaluate.rules import need_undoubted

CHECKS: dict[str, Check] = {
    item.id: item
    for item in (
        LinfEvasionCheck(),
        LinfQueryCheck(),
        L2EvasionCheck(),
        GradientMaskingCheck(),
        CorruptionCheck(),
    )
}
SIGN = {"indicator": "zero_gradient_share", "found": "zero on 48 of 48", "means": "Mend it."}


def masking(*, believable: bool, target: str = "cpu") -> Measurement:
    return Measurement(
        metric=BELIEVABLE,
        value=believable,
        method="exact",
        n=48,
        target=target,
        check=MASKING,
        version=1,
        details={"failed": [] if believable else [SIGN], "noted": []},
        evidence=("sha256:m",),
    )


def robust(  # the coordinates of a figure
    value: float, check: str = "evasion.linf", *, eps: float = 0.1, norm: str = "linf",
    half: float = 0.05, target: str = "cpu",
) -> Measurement:  # fmt: skip
    return Measurement(
        metric="robust_accuracy",
        value=value,
        low=max(0.0, value - half),
        high=min(1.0, value + half),
        confidence=0.95,
        bound=BoundKind.AT_MOST,
        method="paper",
        n=100,
        unit=Unit.SHARE,
        params={"eps": eps, "norm": norm},
        target=target,
        check=check,
        version=2,
        evidence=(f"sha256:{check}",),
    )


def measured(reading: Reading) -> Measurement:
    assert isinstance(reading, Measurement)
    return reading


def rule(least: float) -> Rule:
    return Rule(
        id="robust",
        title="It stays right",
        severity=Severity.HIGH,
        effect=RuleEffect.DENY,
        check="evasion.linf",
        metric="robust_accuracy",
        where={"eps": 0.1},
        limits=MetricLimits(least=least),
        accept_withstood=True,
    )


def outcome(readings: tuple[Reading, ...], least: float) -> Outcome:
    policy = replace(POLICY, rules=(rule(least),))
    (finding,) = judge_readings(policy, lambda _: readings, CONTEXT)
    return finding.outcome


FIGURES = st.lists(
    st.builds(
        robust,
        st.floats(0, 1).map(lambda value: round(value, 3)),
        st.sampled_from(["evasion.linf", "evasion.linf_query", "evasion.l2"]),
        eps=st.sampled_from([0.1, 0.2]),
        half=st.sampled_from([0.01, 0.1, 0.4]),
        target=st.sampled_from(["cpu", "gpu"]),
    ),
    max_size=8,
)


@given(FIGURES)
def test_without_a_no_from_masking_nothing_changes(figures: list[Measurement]) -> None:
    assert qualify_masked_readings(figures, CHECKS) == tuple(figures)
    believed = (masking(believable=True), *figures)
    assert qualify_masked_readings(believed, CHECKS) == believed


@given(FIGURES)
def test_doubt_never_makes_a_figure_better(figures: list[Measurement]) -> None:
    found = qualify_masked_readings([masking(believable=False), *figures], CHECKS)[1:]
    for before, after in zip(figures, map(measured, found), strict=True):
        assert after.doubted == (before.target == "cpu" and before.check != "evasion.linf_query")
        assert (after.check, after.metric, after.params) == (
            before.check, before.metric, before.params,
        )  # fmt: skip
        assert after.value <= before.value  # type: ignore[operator]  # shares
        assert after.high <= before.high  # type: ignore[operator]  # shares


@given(FIGURES)
def test_doubt_is_cast_once(figures: list[Measurement]) -> None:
    found = qualify_masked_readings([masking(believable=False), *figures], CHECKS)
    again = [measured(item) for item in qualify_masked_readings(found, CHECKS)]
    assert [(item.value, item.doubted) for item in again] == [
        (measured(item).value, measured(item).doubted) for item in found
    ]


def test_a_doubted_figure_does_not_pass_and_one_that_breaks_the_limit_still_fails() -> None:
    high, low = robust(0.9), robust(0.2)
    assert outcome((high,), 0.5) is Outcome.WITHSTOOD
    assert (
        outcome(qualify_masked_readings([high, masking(believable=False)], CHECKS), 0.5)
        is Outcome.UNKNOWN
    )
    assert (
        outcome(qualify_masked_readings([low, masking(believable=False)], CHECKS), 0.5)
        is Outcome.FAILED
    )


def test_what_a_search_without_gradients_broke_fails_the_rule_on_gradients() -> None:
    seen = [robust(0.9), robust(0.1, "evasion.linf_query"), masking(believable=False)]
    assert outcome(tuple(seen[:2]), 0.5) is Outcome.WITHSTOOD
    assert outcome(qualify_masked_readings(seen, CHECKS), 0.5) is Outcome.FAILED


def test_a_figure_says_why_it_is_doubted_and_whose_figure_stands_in_its_place() -> None:
    seen = [robust(0.9), robust(0.1, "evasion.linf_query"), masking(believable=False)]
    found = measured(qualify_masked_readings(seen, CHECKS)[0])
    assert found.details["doubted_because"] == ["zero on 48 of 48"]
    assert "the figure of evasion.linf_query stands in its place" in str(found.details["doubt"])
    assert found.details["found_by_gradients"] == {
        "value": 0.9, "low": 0.9 - 0.05, "high": 0.9 + 0.05, "n": 100,
    }  # fmt: skip
    assert found.evidence == ("sha256:evasion.linf", "sha256:evasion.linf_query", "sha256:m")


@pytest.mark.parametrize(
    "other",
    [
        robust(0.1, "evasion.linf_query", eps=0.2),
        robust(0.1, "evasion.linf_query", norm="l2"),
        robust(0.1, "evasion.linf_query", target="gpu"),
        robust(0.1, "evasion.l2"),
        robust(0.85, "evasion.linf_query", half=0.3),
    ],
    ids=["another eps", "another norm", "another target", "gradients as well", "a wide interval"],
)
def test_only_a_stronger_bound_without_gradients_at_the_same_place_stands_in(
    other: Measurement,
) -> None:
    found = measured(
        qualify_masked_readings([robust(0.9), other, masking(believable=False)], CHECKS)[0]
    )
    assert found.value == 0.9
    assert found.doubted
    assert "believe_instead" not in found.details


def test_figures_that_no_stronger_attack_would_worsen_are_not_doubted() -> None:
    clean = replace(robust(0.95), metric="clean_accuracy", bound=BoundKind.ESTIMATE)
    proof = replace(robust(0.3), bound=BoundKind.AT_LEAST)
    blurred = replace(
        robust(0.7, "evasion.corruption"), metric="accuracy", bound=BoundKind.ESTIMATE
    )
    foreign = replace(robust(0.7), check="quality.accuracy", metric="accuracy")
    gap = Gap(reason=GapReason.OVER_BUDGET, detail="d", cure="c", target="cpu", check="evasion.l1")
    seen = (clean, proof, blurred, foreign, gap, masking(believable=False))
    assert qualify_masked_readings(seen, CHECKS) == seen


def test_a_figure_whose_gradients_nobody_had_time_to_examine_names_what_it_needs() -> None:
    late = Gap(reason=GapReason.OVER_BUDGET, detail="d", cure="c", target="cpu", check=MASKING)
    cut = replace(robust(0.7), details={"rows_asked": 200})
    (found, _) = qualify_masked_readings((cut, late), CHECKS)
    assert isinstance(found, Measurement)
    assert found.doubted
    assert need_undoubted(found) == "more time (`--max-minutes`), so that evasion.masking runs"
    assert need_undoubted(replace(robust(0.7), doubted=True)) == "a figure that is not doubted"


CLIMBING = [
    (check.id, metric)
    for check in discover_checks().values()
    if check.id.startswith("evasion.") and uses_need(check, Need.TWIN)
    for metric, declared in check.emits.items()
    if declared.bound is BoundKind.AT_MOST
    and declared.higher_is_better
    and declared.unit is Unit.SHARE
]


def test_most_attacks_climb_a_twin() -> None:
    names = {name for name, _ in CLIMBING}
    assert names >= {"evasion.linf", "evasion.art", "evasion.tabular", "evasion.patch"}


@pytest.mark.parametrize(("name", "metric"), CLIMBING)
def test_whatever_climbs_a_twin_is_doubted_where_its_gradients_are_masked(
    name: str, metric: str
) -> None:
    checks = {MASKING: GradientMaskingCheck(), name: discover_checks()[name]()}
    reading = replace(robust(0.9, name), metric=metric)
    found = qualify_masked_readings([masking(believable=False), reading], checks)
    assert measured(found[1]).doubted


def test_a_librarys_attack_says_itself_whether_it_saw_the_twin() -> None:
    checks = {MASKING: GradientMaskingCheck(), "evasion.art": discover_checks()["evasion.art"]()}
    for sees, doubted in (("twin", True), ("target", False)):
        reading = replace(robust(0.9, "evasion.art"), details={"sees": sees})
        found = qualify_masked_readings([masking(believable=False), reading], checks)
        assert measured(found[1]).doubted is doubted
