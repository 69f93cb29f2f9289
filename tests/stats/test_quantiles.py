import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_coverage import allowed

from auditor.stats.quantiles import least_samples, quantile


def test_the_median_of_ten_lies_between_the_second_and_the_ninth() -> None:
    # Table of exact median intervals (Conover 1999, Practical Nonparametric Statistics, A3).
    found = quantile(np.arange(1.0, 11.0), 0.5, 0.95)
    assert found is not None
    assert (found.value, found.low, found.high) == (5, 2, 9)


@pytest.mark.parametrize(("share", "least"), [(0.5, 6), (0.9, 36), (0.99, 368)])
def test_the_least_number_of_samples_is_known(share: float, least: int) -> None:
    assert least_samples(share, 0.95) == least
    assert quantile(np.arange(float(least)), share, 0.95) is not None
    assert quantile(np.arange(float(least - 1)), share, 0.95) is None


def test_no_samples_say_nothing() -> None:
    assert quantile(np.empty(0), 0.5, 0.95) is None


@given(
    st.lists(st.floats(0, 10), min_size=6, max_size=300),
    st.sampled_from([0.1, 0.5, 0.9]),
    st.sampled_from([0.5, 0.95]),
)
def test_a_quantile_lies_within_its_interval(
    values: list[float], share: float, level: float
) -> None:
    found = quantile(np.array(values), share, level)
    if found is not None:
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_quantiles_of_a_skewed_law_are_covered(share: float) -> None:
    rng = np.random.default_rng(1)
    truth = -np.log(1 - share)
    found = [quantile(rng.exponential(size=500), share, 0.95) for _ in range(1000)]
    hits = [item is not None and item.low <= truth <= item.high for item in found]
    assert np.mean(hits) >= allowed(0.95, len(hits))
