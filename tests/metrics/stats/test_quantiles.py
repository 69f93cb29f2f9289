import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_coverage import allowed

from auditor.metrics.stats.quantiles import clustered_quantile, least_samples, quantile


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


def test_samples_that_are_clusters_of_their_own_are_worth_almost_as_much_as_alone() -> None:
    samples = np.random.default_rng(0).random(5000)
    alone = quantile(samples, 0.99, 0.95)
    found = clustered_quantile(samples, np.arange(5000), 0.99, 0.95)
    assert alone is not None
    assert found is not None
    assert found.value == alone.value
    assert found.low <= alone.low < alone.high <= found.high
    assert 4500 < found.n < 5000


def test_samples_that_all_come_in_tens_are_worth_a_tenth() -> None:
    samples = np.repeat(np.random.default_rng(0).random(2000), 10)
    found = clustered_quantile(samples, np.arange(20_000) // 10, 0.9, 0.95)
    assert found is not None
    assert 1800 < found.n <= 2000


def test_one_bunch_beyond_the_quantile_or_too_few_samples_give_no_interval() -> None:
    samples = np.ones(1000)
    samples[500:520] = 2.0
    clusters = np.concatenate([np.arange(500), np.full(20, 500), np.arange(501, 981)])
    assert clustered_quantile(samples, clusters, 0.99, 0.95) is None
    assert clustered_quantile(np.arange(300.0), np.arange(300), 0.99, 0.95) is None
    assert clustered_quantile(np.empty(0), np.empty(0, dtype=np.int64), 0.99, 0.95) is None


@pytest.mark.parametrize("load", [0.3, 0.5])
@pytest.mark.parametrize("varied", [False, True])
def test_the_time_in_a_queue_is_missed_no_more_often_than_the_level_says(
    load: float,
    varied: bool,  # noqa: FBT001 -- a case
) -> None:
    """A single server with Poisson arrivals: treating requests as independent misses 40 % and more.

    What is left open counts as no miss: nobody is told a wrong figure. The truth comes from one
    long run of the same queue (Lindley 1952, The theory of queues with a single server).
    """
    rng = np.random.default_rng(7)

    def waited(count: int) -> tuple[np.ndarray, np.ndarray]:
        served = rng.exponential(size=count) if varied else np.ones(count)
        steps = served[:-1] - rng.exponential(1 / load, size=count - 1)
        walk = np.concatenate([[0.0], np.cumsum(steps)])
        queue = walk - np.minimum.accumulate(walk)
        return queue + served, np.cumsum(queue == 0)

    truth = np.quantile(waited(2_000_000)[0], 0.99)
    repeats, missed, plain, told = 300, 0, 0, 0
    for _ in range(repeats):
        times, bunches = waited(4000)
        found, naive = clustered_quantile(times, bunches, 0.99, 0.95), quantile(times, 0.99, 0.95)
        missed += found is not None and not found.low <= truth <= found.high
        plain += naive is not None and not naive.low <= truth <= naive.high
        told += found is not None
    assert 1 - missed / repeats >= allowed(0.95, repeats)
    assert told > repeats / 2
    assert 1 - plain / repeats < allowed(0.95, repeats)
