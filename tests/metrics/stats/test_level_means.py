"""The mean of values from a short list: exact for one, conservative for several."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.metrics.stats.proportions import clopper_pearson, mean_of_levels

LEVELS = (1.0, 4.0, 10.0)


@given(st.integers(0, 30), st.floats(0.1, 100))
def test_one_level_is_its_cost_times_the_exact_interval(hits: int, cost: float) -> None:
    found = mean_of_levels(np.repeat([cost, 0.0], [hits, 30 - hits]), (cost,), 0.95)
    share = clopper_pearson(hits, 30, 0.95)
    assert found.low == pytest.approx(cost * share.low)
    assert found.high == pytest.approx(cost * share.high)


@given(st.lists(st.sampled_from([0.0, *LEVELS]), min_size=1, max_size=60))
def test_the_value_is_the_mean_and_lies_in_its_interval(values: list[float]) -> None:
    found = mean_of_levels(np.array(values), LEVELS, 0.95)
    assert found.value == pytest.approx(np.mean(values))
    assert 0 <= found.low <= found.value <= found.high <= max(LEVELS) + 1e-9


@pytest.mark.parametrize(
    "shares", [(0.97, 0.01, 0.01, 0.01), (0.2, 0.3, 0.3, 0.2), (0.5, 0.5, 0, 0), (0.9, 0, 0, 0.1)]
)
def test_it_covers_at_least_as_often_as_it_says(shares: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    costs = np.array([0.0, *LEVELS])
    truth = float(costs @ np.array(shares))
    drawn = rng.choice(costs, size=(300, 40), p=shares)
    intervals = [mean_of_levels(values, LEVELS, 0.9) for values in drawn]
    covered = np.mean([item.low <= truth <= item.high for item in intervals])
    assert covered >= 0.9


@pytest.mark.parametrize(
    ("values", "levels"), [([], (1.0,)), ([0.0], ()), ([0.5], (1.0,)), ([0.0], (-1.0, 1.0))]
)
def test_what_has_no_mean_of_levels_is_refused(
    values: list[float], levels: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="level"):
        mean_of_levels(np.array(values), levels, 0.95)
