"""Bounds from canaries of one run: known answers, and how often they are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from auditor.domain.privacy_claims import AdjacencyRelation
from auditor.metrics.privacy_accounting.canaries import (
    SHARES,
    CanaryGuesses,
    canary_auc,
    epsilon_delta_lower_bound,
    epsilon_delta_p_value,
    guess_canaries,
    level_per_look,
    refutes_tradeoff,
)
from auditor.metrics.privacy_accounting.canary_readings import (
    ClaimHypothesis,
    IdealCanaries,
    detectable_noise_factor,
    least_refuted_noise,
    noise_for_epsilon,
    prove_epsilon,
)
from auditor.metrics.privacy_accounting.mechanisms import (
    GaussianFamily,
    GaussianTradeoffCurve,
    PiecewiseLinearTradeoff,
    SampledGaussianFamily,
    gaussian_delta,
    gaussian_epsilon,
)

DELTA, LEVEL, CANARIES = 1e-5, 0.05, 1000
CLAIMS = {0.88: (4.0, 0.0356, 560), 6.03: (1.0, 0.0356, 560)}


def held(epsilon: float) -> ClaimHypothesis:
    noise, rate, steps = CLAIMS[epsilon]
    family = SampledGaussianFamily(rate, steps, AdjacencyRelation.ADD_REMOVE, DELTA)
    return ClaimHypothesis(epsilon, DELTA, family, noise_for_epsilon(family, epsilon, noise), LEVEL)


def runs(epsilon: float, factor: float, count: int, seed: int = 0) -> list[list[CanaryGuesses]]:
    noise, rate, steps = CLAIMS[epsilon]
    told, rng = (
        IdealCanaries(CANARIES, noise, rate, steps).told(factor),
        np.random.default_rng(seed),
    )
    return [guess_canaries(*told.scores(CANARIES, rng)) for _ in range(count)]


def test_without_delta_the_p_value_is_a_binomial_tail() -> None:
    seen = CanaryGuesses(1000, 100, 80)
    assert epsilon_delta_p_value(seen, 0.0, 0.0) == pytest.approx(binom.sf(79, 100, 0.5))
    assert epsilon_delta_p_value(seen, np.log(3), 0.0) == pytest.approx(binom.sf(79, 100, 0.75))


def test_delta_adds_the_steepest_mean_of_the_chances_just_below() -> None:
    seen, epsilon, delta = CanaryGuesses(500, 40, 35), 0.7, 1e-4
    chance = 1 / (1 + np.exp(-epsilon))
    below = [binom.cdf(34, 40, chance) - binom.cdf(34 - i, 40, chance) for i in range(1, 36)]
    steepest = max(total / i for i, total in enumerate(below, start=1))
    expected = binom.sf(34, 40, chance) + 2 * 500 * delta * steepest
    assert epsilon_delta_p_value(seen, epsilon, delta) == pytest.approx(expected)


def test_no_right_guess_proves_nothing() -> None:
    assert epsilon_delta_lower_bound(CanaryGuesses(10, 10, 0), DELTA, LEVEL) == 0
    assert not refutes_tradeoff(CanaryGuesses(10, 10, 0), GaussianTradeoffCurve(0.0), LEVEL)


@given(st.integers(1, 200), st.integers(0, 200), st.floats(0, 5))
def test_more_right_guesses_never_speak_for_more_privacy(
    made: int, right: int, epsilon: float
) -> None:
    right = min(right, made)
    fewer = epsilon_delta_p_value(CanaryGuesses(200, made, max(0, right - 1)), epsilon, DELTA)
    assert epsilon_delta_p_value(CanaryGuesses(200, made, right), epsilon, DELTA) <= fewer + 1e-12


@given(st.integers(1, 100), st.integers(0, 100), st.floats(0.05, 4), st.floats(1, 3))
def test_what_refutes_a_leakier_curve_refutes_a_tighter_one(
    made: int, right: int, mu: float, factor: float
) -> None:
    seen = CanaryGuesses(100, made, min(right, made))
    if refutes_tradeoff(seen, GaussianTradeoffCurve(mu * factor), LEVEL):
        assert refutes_tradeoff(seen, GaussianTradeoffCurve(mu), LEVEL)


def test_of_one_guess_a_perfect_secret_is_refuted_only_below_even_odds() -> None:
    # One guess of one canary is right with chance 1/2 where nothing leaks.
    assert not refutes_tradeoff(CanaryGuesses(1, 1, 1), GaussianTradeoffCurve(0.0), 0.49)
    assert refutes_tradeoff(CanaryGuesses(1, 1, 1), GaussianTradeoffCurve(0.0), 0.51)


def test_lines_are_no_tighter_than_the_curve_that_they_touch() -> None:
    curve, epsilons = GaussianTradeoffCurve(1.3), np.linspace(0, 8, 200)
    deltas = np.array([gaussian_delta(1.3, epsilon) for epsilon in epsilons])
    lines = PiecewiseLinearTradeoff.of(epsilons, deltas)
    for chance in (0.001, 0.05, 0.3, 0.5, 0.8, 0.99):
        assert lines.inverse(chance) <= curve.inverse(chance) + 1e-12
        assert lines.inverse(chance) == pytest.approx(curve.inverse(chance), rel=0.02, abs=1e-5)


def test_guesses_are_of_the_surest_and_fixed_beforehand() -> None:
    scores = np.arange(20.0)
    included = scores >= 10
    seen = guess_canaries(scores, included, (1.0, 0.5))
    assert seen == [CanaryGuesses(20, 20, 20), CanaryGuesses(20, 10, 10)]
    assert guess_canaries(-scores, included, (1.0,)) == [CanaryGuesses(20, 20, 0)]
    assert canary_auc(scores, included) == 1
    assert canary_auc(np.zeros(20), included) == 0.5
    assert level_per_look(0.05, 4) == pytest.approx(0.05 / 8)


def test_three_hundred_runs_of_chance_are_contradicted_no_more_often_than_said() -> None:
    rng, false = np.random.default_rng(1), 0
    nothing = ClaimHypothesis(0.0, 0.0, GaussianFamily(1.0, DELTA), 1e9, LEVEL)
    for _ in range(300):
        seen = guess_canaries(rng.normal(size=CANARIES), rng.random(CANARIES) < 0.5)
        false += nothing.contradicted_by(seen)
    assert false <= binom.ppf(0.999, 300, LEVEL)
    assert false / 300 <= 0.05


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
def test_at_exactly_the_claimed_leak_no_run_proves_more(mu: float) -> None:
    rng = np.random.default_rng(2)
    epsilon = gaussian_epsilon(mu, DELTA)
    exact = ClaimHypothesis(epsilon, DELTA, GaussianFamily(1.0, DELTA), 1 / mu, LEVEL)
    false, proved = 0, []
    for trial in range(60):
        included = rng.random(CANARIES) < 0.5
        seen = guess_canaries(mu * included + rng.normal(size=CANARIES), included)
        false += exact.contradicted_by(seen)
        if trial < 3:
            proved.append(prove_epsilon(seen, DELTA, GaussianFamily(1.0, DELTA), 1 / mu, LEVEL))
    assert false == 0
    assert all(0 < item.pure <= item.epsilon <= epsilon for item in proved)
    assert all(item.tradeoff > item.pure for item in proved)


@pytest.mark.parametrize("epsilon", CLAIMS)
def test_honest_noise_is_never_contradicted(epsilon: float) -> None:
    against = held(epsilon)
    assert not any(against.contradicted_by(seen) for seen in runs(epsilon, 1.0, 25))


@pytest.mark.parametrize("factor", [4.0, np.inf])
@pytest.mark.parametrize("epsilon", CLAIMS)
def test_a_quarter_of_the_noise_and_none_are_contradicted(epsilon: float, factor: float) -> None:
    against = held(epsilon)
    caught = sum(against.contradicted_by(seen) for seen in runs(epsilon, factor, 25))
    assert caught == 25


@pytest.mark.parametrize("epsilon", CLAIMS)
def test_a_bound_above_the_claim_and_a_contradiction_are_one_thing(epsilon: float) -> None:
    against = held(epsilon)
    noise = CLAIMS[epsilon][0]
    for factor in (2.0, 3.0, 4.0):
        for seen in runs(epsilon, factor, 2, seed=int(factor)):
            found = prove_epsilon(seen, DELTA, against.family, noise, LEVEL).epsilon
            if abs(found / epsilon - 1) > 0.05:
                assert against.contradicted_by(seen) == (found > epsilon)


def test_power_is_the_least_deficit_that_is_mostly_caught() -> None:
    noise, rate, steps = CLAIMS[6.03]
    assert detectable_noise_factor(held(6.03), IdealCanaries(CANARIES, noise, rate, steps), 3) == 2
    assert detectable_noise_factor(held(6.03), IdealCanaries(20, noise, rate, steps), 3) is None
    more = detectable_noise_factor(held(6.03), IdealCanaries(4 * CANARIES, noise, rate, steps), 3)
    assert more is not None
    assert more <= 2


@given(st.floats(0.1, 30), st.floats(0.2, 5))
def test_bisection_finds_where_noise_begins_to_be_refuted(edge: float, claimed: float) -> None:
    found = least_refuted_noise(lambda noise: noise >= edge, claimed)
    if edge > claimed * 64:
        assert found is None
    elif edge > claimed / 32:
        assert found == pytest.approx(edge, rel=0.01)
        assert found >= edge


def test_all_guess_counts_are_shares_of_the_canaries() -> None:
    assert max(SHARES) == 1
    assert [item.made for item in runs(6.03, 1.0, 1)[0]] == [1000, 500, 200, 100]
