import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_coverage import allowed, coverage

from auditor.metrics.stats.class_imbalance import effective_class_count, imbalance_ratio
from auditor.metrics.stats.drift import share_limits


def test_equal_classes_count_in_full_and_a_certain_one_alone() -> None:
    assert effective_class_count(np.array([50.0] * 4), 0.95).value == pytest.approx(4)
    alone = effective_class_count(np.array([80.0, 0.0]), 0.95)
    assert (alone.value, alone.low) == (1, 1)
    assert alone.high > 1.1


def test_two_classes_on_paper() -> None:
    # Entropy of 0.9 and 0.1 is 0.3251 nat; its exponential 1.384. 90 : 10 is 9.
    counts = np.array([90.0, 10.0])
    found = effective_class_count(counts, 0.95)
    low, high = share_limits(counts, 100, 0.95, 2)
    edges = [float(np.exp(-p * np.log(p) - (1 - p) * np.log(1 - p))) for p in (low[1], high[1])]
    assert found.value == pytest.approx(1.3841, abs=1e-4)
    assert (found.low, found.high) == pytest.approx(tuple(edges))
    assert imbalance_ratio(counts, 0.95).value == pytest.approx(9)


@pytest.mark.parametrize("law", [[0.5, 0.3, 0.15, 0.05], [0.25] * 4])
def test_both_cover_the_truth(law: list[float]) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(300, law, 200).astype(float)
    truth = float(np.exp(-np.sum(np.array(law) * np.log(law))))
    share, count = coverage([effective_class_count(it, 0.95) for it in drawn], truth)
    assert share >= allowed(0.95, count)
    share, count = coverage([imbalance_ratio(it, 0.95) for it in drawn], max(law) / min(law))
    assert share >= allowed(0.95, count)


@given(st.lists(st.integers(1, 99), min_size=2, max_size=7))
def test_the_interval_holds_its_figure_and_keeps_within_what_is_possible(counts: list[int]) -> None:
    found = effective_class_count(np.array(counts, dtype=float), 0.9)
    assert 1 <= found.low <= found.value <= found.high <= len(counts) + 1e-9
    ratio = imbalance_ratio(np.array(counts, dtype=float), 0.9)
    assert 1 <= ratio.low <= ratio.value <= ratio.high


def test_no_rows_are_no_classes() -> None:
    with pytest.raises(ValueError, match="needs rows"):
        effective_class_count(np.zeros(3), 0.95)
    with pytest.raises(ValueError, match="two classes"):
        imbalance_ratio(np.array([3.0, 0.0]), 0.95)
