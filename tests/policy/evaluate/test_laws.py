"""Laws of judging: what no change of a reading, a rule or an interval may ever do."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, GAP, POLICY, RULE, judge_one, measured

from auditor.domain.findings import Outcome, Verdict
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Measurement
from auditor.policy.evaluate.engine import judge_readings

BETTER = [Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD, Outcome.PASSED]
numbers = st.floats(-2, 2)


@st.composite
def readings(draw: st.DrawFn) -> Measurement:
    low, value, high = sorted([draw(numbers), draw(numbers), draw(numbers)])
    exact = draw(st.booleans())
    return measured(
        value,
        None if exact else low,
        None if exact else high,
        bound=draw(st.sampled_from(BoundKind)),
        doubted=draw(st.booleans()),
    )


@st.composite
def limits(draw: st.DrawFn) -> MetricLimits:
    least, most = sorted([draw(numbers), draw(numbers)])
    return draw(
        st.sampled_from(
            [MetricLimits(least, most), MetricLimits(least=least), MetricLimits(most=most)]
        )
    )


def outcome(reading: Measurement, asked: MetricLimits, *, accepts: bool = True) -> Outcome:
    return judge_one(replace(RULE, limits=asked, accept_withstood=accepts), reading).outcome


@given(st.lists(st.sampled_from(Outcome)))
def test_one_more_failure_never_helps(outcomes: list[Outcome]) -> None:
    assert Verdict.of([*outcomes, Outcome.FAILED]) is Verdict.FAIL


def test_no_findings_are_inconclusive() -> None:
    assert Verdict.of([]) is Verdict.INCONCLUSIVE
    assert judge_readings(replace(POLICY, rules=()), lambda _: [], CONTEXT) == ()


@given(readings(), limits(), st.floats(0, 1), st.floats(0, 1))
def test_tightening_a_limit_never_helps(
    reading: Measurement, asked: MetricLimits, up: float, down: float
) -> None:
    tighter = MetricLimits(
        None if asked.least is None else asked.least + up,
        None if asked.most is None else asked.most - down,
    )
    before, after = outcome(reading, asked), outcome(reading, tighter)
    assert BETTER.index(after) <= BETTER.index(before)


@given(readings(), limits(), st.floats(0, 1), st.floats(0, 1))
def test_widening_an_interval_never_decides(
    reading: Measurement, asked: MetricLimits, down: float, up: float
) -> None:
    value = float(str(reading.value))
    low = value if reading.low is None else reading.low
    high = value if reading.high is None else reading.high
    wider = replace(reading, low=low - down, high=high + up)
    after = outcome(wider, asked)
    assert after in (outcome(reading, asked), Outcome.UNKNOWN)


@given(readings(), limits())
def test_a_doubted_reading_never_passes(reading: Measurement, asked: MetricLimits) -> None:
    found = outcome(replace(reading, doubted=True), asked)
    assert found in (Outcome.FAILED, Outcome.UNKNOWN)


@given(readings(), limits())
def test_doubt_never_changes_a_failure(reading: Measurement, asked: MetricLimits) -> None:
    failed = outcome(replace(reading, doubted=False), asked) is Outcome.FAILED
    assert failed == (outcome(replace(reading, doubted=True), asked) is Outcome.FAILED)


@given(limits(), st.booleans())
def test_a_gap_never_passes(asked: MetricLimits, accepts: bool) -> None:  # noqa: FBT001 -- drawn
    rule = replace(RULE, limits=asked, accept_withstood=accepts)
    assert judge_one(rule, GAP).outcome is Outcome.UNKNOWN


@given(readings(), limits())
def test_nothing_withstands_that_the_policy_does_not_accept(
    reading: Measurement, asked: MetricLimits
) -> None:
    strict, lenient = outcome(reading, asked, accepts=False), outcome(reading, asked)
    assert strict is not Outcome.WITHSTOOD
    assert strict is (Outcome.UNKNOWN if lenient is Outcome.WITHSTOOD else lenient)


@given(st.lists(readings(), min_size=1, max_size=4), readings(), limits())
def test_one_more_reading_never_helps(
    some: list[Measurement], another: Measurement, asked: MetricLimits
) -> None:
    rule = replace(RULE, limits=asked, accept_withstood=True)
    before, after = judge_one(rule, *some), judge_one(rule, *some, another)
    assert BETTER.index(after.outcome) <= BETTER.index(before.outcome)


@given(readings(), limits())
def test_an_unknown_says_what_would_decide_and_nothing_else_does(
    reading: Measurement, asked: MetricLimits
) -> None:
    finding = judge_one(replace(RULE, limits=asked), reading)
    assert (finding.would_decide is not None) == (finding.outcome is Outcome.UNKNOWN)
