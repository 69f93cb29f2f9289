"""Evidence that may start at any batch: what it is worth, and how soon it finds a late change."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.metrics.stats.sequential import SuccessCount, rate_evidence, restarted_evidence

ENOUGH = math.log(20)


def weeks(rng: np.random.Generator, *rates: float) -> list[SuccessCount]:
    return [SuccessCount(500, int(rng.binomial(500, rate))) for rate in rates]


def test_one_batch_is_half_bet_and_half_kept() -> None:
    (found,) = restarted_evidence([SuccessCount(10, 4)], 0.1)
    alone = math.exp(rate_evidence(SuccessCount(10, 4), 0.1))
    assert found == pytest.approx(math.log(0.5 + 0.5 * alone))


def test_two_batches_by_hand() -> None:
    one, two = SuccessCount(10, 4), SuccessCount(20, 3)
    both = math.exp(rate_evidence(SuccessCount(30, 7), 0.1))
    late = math.exp(rate_evidence(two, 0.1))
    assert restarted_evidence([one, two], 0.1)[1] == pytest.approx(
        math.log(both / 2 + late / 6 + 1 / 3)
    )


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=1, max_size=6))
def test_evidence_is_never_less_than_what_was_kept_aside(drawn: list[tuple[int, float]]) -> None:
    batches = [SuccessCount(rows, round(rows * share)) for rows, share in drawn]
    found = restarted_evidence(batches, 0.2)
    kept = -np.log(np.arange(2, len(batches) + 2))
    assert np.all(found >= kept - 1e-9)


def test_the_mean_of_the_e_value_is_one_at_the_limit() -> None:
    """Exactly, over every outcome of two batches of four rows."""
    chances = [math.comb(4, hits) * 0.3**hits * 0.7 ** (4 - hits) for hits in range(5)]
    mean = sum(
        one * two * math.exp(restarted_evidence([SuccessCount(4, a), SuccessCount(4, b)], 0.3)[1])
        for a, one in enumerate(chances)
        for b, two in enumerate(chances)
    )
    assert 0.3 < mean <= 1 + 1e-9


def test_a_late_change_is_found_as_soon_as_an_early_one() -> None:
    rng = np.random.default_rng(4)
    late = weeks(rng, *[0.1] * 26, *[0.15] * 5)
    restarted = restarted_evidence(late, 0.1)
    sums = np.cumsum([batch.successes for batch in late])
    once = [rate_evidence(SuccessCount(500 * (at + 1), int(k)), 0.1) for at, k in enumerate(sums)]
    assert restarted[:26].max() < ENOUGH <= restarted[30]
    assert once[30] < ENOUGH


@pytest.mark.slow
def test_a_year_of_weekly_looks_raises_a_false_alarm_once_in_twenty_years_at_most() -> None:
    rng = np.random.default_rng(7)
    years = 400
    false = sum(
        restarted_evidence(weeks(rng, *[0.1] * 52), 0.1).max() >= ENOUGH for _ in range(years)
    )
    assert false <= 0.05 * years + 3 * math.sqrt(0.05 * 0.95 * years)
