"""Rates of many small groups: laws on paper, and coverage, also where groups are equal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad
from scipy.special import betainc, betaln
from simulated_coverage import allowed

from auditor.metrics.stats.group_rates import shrunken_rates

COUNTS = st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TABLES = st.lists(COUNTS, min_size=2, max_size=6).filter(
    lambda rows: sum(n > 0 for _, n in rows) > 1
)


@given(TABLES, st.sampled_from([0.5, 0.95]))
@settings(max_examples=25, deadline=None)
def test_a_rate_lies_within_its_limits(table: list[tuple[int, int]], level: float) -> None:
    for interval, (_, rows) in zip(
        shrunken_rates(*zip(*table, strict=True), level), table, strict=True
    ):
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.n == rows


def test_the_posterior_is_that_of_integration_by_quadrature() -> None:
    """Mean and shrinkage uniform, the law's size from the shrinkage of the smallest group."""
    hits, rows = np.array([1, 6]), np.array([8, 12])

    def density(mean: float, shrinkage: float) -> float:
        size = 8 * shrinkage / (1 - shrinkage)
        above, below = mean * size, (1 - mean) * size
        return float(
            np.exp(np.sum(betaln(above + hits, below + rows - hits) - betaln(above, below)))
        )

    def first(mean: float, shrinkage: float) -> float:
        size = 8 * shrinkage / (1 - shrinkage)
        return density(mean, shrinkage) * (mean * size + 1) / (size + 8)

    def beyond(mean: float, shrinkage: float, at: float) -> float:
        size = 8 * shrinkage / (1 - shrinkage)
        return density(mean, shrinkage) * float(betainc(mean * size + 1, (1 - mean) * size + 7, at))

    ends = (1e-6, 1 - 1e-6)
    total = dblquad(density, *ends, *ends, epsabs=0, epsrel=1e-6)[0]
    found = shrunken_rates(hits, rows, 0.9)[0]
    assert found.value == pytest.approx(
        dblquad(first, *ends, *ends, epsrel=1e-6)[0] / total, abs=1e-3
    )
    for end, share in ((found.low, 0.05), (found.high, 0.95)):
        below = dblquad(beyond, *ends, *ends, args=(end,), epsrel=1e-6)[0] / total
        assert below == pytest.approx(share, abs=2e-3)


def test_small_groups_are_drawn_towards_the_others_and_large_ones_stay() -> None:
    found = shrunken_rates([5, 1000, *[10] * 20], [10, 2000, *[100] * 20], 0.95)
    assert 0.1 < found[0].value < 0.4
    assert found[1].value == pytest.approx(0.5, abs=0.01)


def test_a_group_without_rows_gets_what_is_said_of_any() -> None:
    empty, full = shrunken_rates([0, *[20] * 30], [0, *[100] * 30], 0.95)[:2]
    assert empty.n == 0
    assert empty.value == pytest.approx(0.2, abs=0.01)
    assert empty.low < full.low < full.high < empty.high


def test_equal_groups_share_their_strength() -> None:
    found = shrunken_rates([12] * 40, [60] * 40, 0.95)
    alone = shrunken_rates([12] * 2, [60] * 2, 0.95)
    assert found[0].high - found[0].low < 0.6 * (alone[0].high - alone[0].low)


def test_no_success_does_not_exclude_a_rate_of_zero() -> None:
    assert shrunken_rates([0, 3], [50, 60], 0.95)[0].low == 0
    assert shrunken_rates([50, 3], [50, 60], 0.95)[0].high == 1


@pytest.mark.parametrize(
    ("hits", "rows", "level"),
    [
        ([1, 3], [2, 2], 0.95),
        ([-1, 1], [2, 2], 0.95),
        ([1, 1, 1], [2, 2], 0.95),
        ([1, 1], [2, 2], 1.0),
        ([1], [2], 0.95),
        ([1, 0], [2, 0], 0.95),
    ],
)
def test_impossible_groups_are_refused(hits: list[int], rows: list[int], level: float) -> None:
    with pytest.raises(ValueError, match=r"proportions|two of them"):
        shrunken_rates(hits, rows, level)


@pytest.mark.parametrize("size", [5.0, 1000.0])
def test_rates_are_covered_on_average_and_so_is_the_worst(size: float) -> None:
    """Plugging in the best law covers 0.70 of equal groups (size 1,000); this one must not."""
    rng = np.random.default_rng(1)
    held, worst = [], []
    for _ in range(16):
        rows, truth = rng.integers(10, 120, 12), rng.beta(0.2 * size, 0.8 * size, 12)
        hits = rng.binomial(rows, truth)
        found = shrunken_rates(hits, rows, 0.95)
        inside = [one.low <= rate <= one.high for one, rate in zip(found, truth, strict=True)]
        held += inside
        worst.append(inside[int(np.argmax(hits / rows))])
    assert np.mean(held) >= allowed(0.95, len(held))
    assert np.mean(worst) >= allowed(0.93, len(worst))


def test_the_rate_picked_for_being_worst_is_less_exaggerated_than_its_share() -> None:
    rng = np.random.default_rng(2)
    raw, drawn = [], []
    for _ in range(25):
        truth = rng.beta(20, 80, 30)
        hits = rng.binomial(40, truth)
        at = int(np.argmax(hits))
        raw.append(hits[at] / 40 - truth[at])
        drawn.append(shrunken_rates(hits, [40] * 30, 0.95)[at].value - truth[at])
    assert np.mean(raw) > 0.05
    assert abs(np.mean(drawn)) < 0.02


def test_a_lone_outlier_is_drawn_too_far_which_is_why_its_own_rows_decide() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([0.4, *[0.1] * 39])
    held = []
    for _ in range(25):
        found = shrunken_rates(rng.binomial(60, truth), [60] * 40, 0.95)[0]
        held.append(found.low <= 0.4 <= found.high)
    assert 0 < np.mean(held) < 0.5
