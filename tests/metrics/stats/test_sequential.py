"""Evidence at every look: known values, oracles, what storing keeps, errors over many looks."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom
from simulated_coverage import FOUR_ERRORS, allowed

from auditor.domain.json import encode_canonical, parse_json
from auditor.domain.tasks import Floats
from auditor.metrics.stats.sequential import (
    SuccessCount,
    ValueStream,
    mean_evidence,
    mean_sequence,
    rate_evidence,
    rate_sequence,
)

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=80)
LIMITS = st.sampled_from([0.02, 0.3, 0.9])


def test_before_anything_is_seen_there_is_no_evidence() -> None:
    assert rate_evidence(SuccessCount(), 0.1) == pytest.approx(0, abs=1e-12)
    assert mean_evidence(ValueStream(), 0.1) == pytest.approx(0, abs=1e-12)


def test_one_success_is_worth_what_paper_says() -> None:
    # The mean of uniform rates above 0.2 is 0.6, three times the limit.
    assert math.exp(rate_evidence(SuccessCount(1, 1), 0.2)) == pytest.approx(3)
    assert math.exp(rate_evidence(SuccessCount(1, 0), 0.2)) == pytest.approx(0.4 / 0.8)


def test_one_row_leaves_the_rates_that_paper_says() -> None:
    # B(2, 1) / m = 1 / (2 m) is at least 20 up to m = 1 / 40.
    found = rate_sequence(SuccessCount(1, 1), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((1, 0.025, 1))


@pytest.mark.parametrize(
    ("trials", "hits", "limit"), [(10, 3, 0.1), (200, 10, 0.1), (50, 0, 0.4), (2000, 10, 0.5)]
)
def test_the_evidence_is_the_mean_likelihood_ratio(trials: int, hits: int, limit: float) -> None:
    def ratio(rate: float) -> float:
        return (rate / limit) ** hits * ((1 - rate) / (1 - limit)) ** (trials - hits)

    mean = quad(ratio, limit, 1, points=[limit + 0.001, limit + 0.1], limit=500)[0] / (1 - limit)
    assert rate_evidence(SuccessCount(trials, hits), limit) == pytest.approx(
        math.log(mean), abs=1e-6
    )


@pytest.mark.parametrize("rate", [0.1, 0.05])
def test_the_evidence_is_at_most_one_on_average_under_the_limit(rate: float) -> None:
    hits = np.arange(41)
    evidence = [math.exp(rate_evidence(SuccessCount(40, int(k)), 0.1)) for k in hits]
    mean = float(binom.pmf(hits, 40, rate) @ evidence)
    assert mean == pytest.approx(1) if rate == 0.1 else mean < 0.7


def test_far_below_the_limit_the_series_takes_over_without_a_step() -> None:
    # Laplace's value: one over how fast the likelihood falls at the limit, by its share above it.
    for rows in (1000, 1500, 2000, 10**6):
        hits = rows // 100
        steep = (rows - hits) / 0.6 - hits / 0.4
        assert rate_evidence(SuccessCount(rows, hits), 0.4) == pytest.approx(
            -np.log(0.6 * steep), abs=0.01
        )


@pytest.mark.parametrize("hits", [0, 10, 99_000, 100_000, 110_000, 10**6])
def test_a_million_rows_leave_finite_figures(hits: int) -> None:
    look = SuccessCount(10**6, hits)
    found = rate_sequence(look, 0.95)
    assert math.isfinite(rate_evidence(look, 0.1))
    assert found.low <= found.value <= found.high
    assert found.high - found.low < 0.005


def test_a_million_values_are_kept_in_little_and_bounded_closely() -> None:
    values = np.random.default_rng(0).beta(1, 9, 10**6)
    stream = ValueStream().after(values)
    found = mean_sequence(stream, 0.95)
    assert len(encode_canonical(asdict(stream))) < 10_000
    assert found.value == pytest.approx(values.mean(), abs=1e-9)
    assert found.low < 0.1 < found.high
    assert found.high - found.low < 2 * 2 * 1.96 * values.std() / 1000
    assert mean_evidence(stream, 0.1) < math.log(20) < mean_evidence(stream, 0.099)


@given(VALUES, LIMITS)
def test_bets_on_the_grid_gain_no_more_than_bets_on_the_values(
    values: list[float], limit: float
) -> None:
    shares = 0.95 * 2.0 ** (-np.arange(25) / 2)
    wealth = np.prod(1 + np.outer(shares, np.array(values) / limit - 1), axis=1)
    found = mean_evidence(ValueStream().after(np.array(values)), limit)
    assert found <= math.log(wealth.mean()) + 1e-9
    assert found >= math.log(wealth.mean()) - 0.02 * len(values) / limit**2 / 256


@given(st.lists(st.booleans(), min_size=1, max_size=60), LIMITS)
def test_on_yes_and_no_the_grid_loses_nothing(rows: list[bool], limit: float) -> None:
    values = np.array(rows, dtype=np.float64)
    shares = 0.95 * 2.0 ** (-np.arange(25) / 2)
    wealth = np.prod(1 + np.outer(shares, values / limit - 1), axis=1).mean()
    assert mean_evidence(ValueStream().after(values), limit) == pytest.approx(math.log(wealth))


@given(VALUES, st.integers(0, 80))
def test_what_was_stored_goes_on_as_if_it_had_never_stopped(values: list[float], at: int) -> None:
    whole, rows = np.array(values), np.array(values) > 0.5
    stored = json.loads(json.dumps(asdict(ValueStream().after(whole[:at]))))
    resumed = ValueStream(stored["n"], tuple(stored["weights"])).after(whole[at:])
    straight = ValueStream().after(whole)
    assert resumed.n == straight.n
    assert resumed.weights == pytest.approx(straight.weights)
    tally = SuccessCount(**parse_json(encode_canonical(asdict(SuccessCount().after(rows[:at])))))  # type: ignore[arg-type]
    assert tally.after(rows[at:]) == SuccessCount().after(rows)


@given(VALUES, st.sampled_from([0.5, 0.95, 0.999]))
def test_rates_and_means_lie_within_their_limits(values: list[float], level: float) -> None:
    whole = np.array(values)
    mean = mean_sequence(ValueStream().after(whole), level)
    rate = rate_sequence(SuccessCount().after(whole > 0.5), level)
    for found in (mean, rate):
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert mean.value == pytest.approx(whole.mean())


def test_evidence_and_interval_agree_on_what_is_refuted() -> None:
    stream = ValueStream().after(np.random.default_rng(1).beta(2, 6, 300))
    low = mean_sequence(stream, 0.95).low
    assert mean_evidence(stream, low) == pytest.approx(math.log(40))


def test_turning_the_values_round_mirrors_the_interval() -> None:
    values = np.random.default_rng(2).beta(1, 5, 200)
    one, other = (mean_sequence(ValueStream().after(v), 0.9) for v in (values, 1 - values))
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, float("nan")])
def test_a_limit_that_nothing_can_exceed_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        rate_evidence(SuccessCount(3, 1), limit)
    with pytest.raises(ValueError, match="limit"):
        mean_evidence(ValueStream(), limit)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_value_outside_of_its_bounds_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        ValueStream().after(np.array([0.5, value]))


def test_no_rows_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no rate"):
        rate_sequence(SuccessCount(), 0.95)
    with pytest.raises(ValueError, match="no interval"):
        mean_sequence(ValueStream(), 0.95)


def looks(rng: np.random.Generator, rate: float, rows: int, weeks: int) -> list[SuccessCount]:
    sums = np.cumsum(rng.binomial(rows, rate, weeks))
    return [SuccessCount(rows * week, int(hits)) for week, hits in enumerate(sums, 1)]


@pytest.mark.parametrize("rows", [1, 20])
def test_a_rate_is_covered_at_every_look_at_once(rows: int) -> None:
    rng = np.random.default_rng(3)
    held = [
        all(
            (i := rate_sequence(look, 0.8)).low <= 0.2 <= i.high
            for look in looks(rng, 0.2, rows, 60)
        )
        for _ in range(60)
    ]
    assert np.mean(held) >= allowed(0.8, len(held))


def test_a_weekly_look_for_a_year_seldom_alarms_where_a_weekly_test_nearly_always_does() -> None:
    rng = np.random.default_rng(4)
    alarms, tests = [], []
    for _ in range(600):
        year = looks(rng, 0.1, 100, 52)
        alarms.append(any(rate_evidence(look, 0.1) >= math.log(20) for look in year))
        weekly = np.diff([0, *[look.successes for look in year]])
        tests.append(bool(np.any(binom.sf(weekly - 1, 100, 0.1) <= 0.05)))
    assert np.mean(alarms) <= 1 - allowed(0.95, len(alarms))
    assert np.mean(tests) > 0.7


def test_five_points_more_are_found_within_four_weeks() -> None:
    rng = np.random.default_rng(5)
    found = [
        any(rate_evidence(look, 0.1) >= math.log(20) for look in looks(rng, 0.15, 500, 4))
        for _ in range(300)
    ]
    assert np.mean(found) >= allowed(0.95, len(found))


def rare(rng: np.random.Generator, rows: int) -> Floats:
    return np.where(rng.random(rows) < 0.02, 1.0, 0.0)


@pytest.mark.parametrize(
    ("law", "mean"), [(rare, 0.02), (lambda rng, rows: rng.beta(2, 6, rows), 0.25)]
)
def test_a_mean_is_covered_at_every_look_and_seldom_refuted(
    law: Callable[[np.random.Generator, int], Floats], mean: float
) -> None:
    rng = np.random.default_rng(6)
    missed = []
    for _ in range(40):
        stream, wrong = ValueStream(), False
        for _ in range(8):
            stream = stream.after(law(rng, 20))
            found = mean_sequence(stream, 0.8)
            wrong |= not found.low <= mean <= found.high
        missed.append(wrong)
    assert np.mean(missed) <= 0.2 + FOUR_ERRORS * math.sqrt(0.2 * 0.8 / len(missed))
