import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.metrics.stats.p_values import conformal_p_values, tail_p_values


def test_within_the_reference_the_values_are_the_conformal_ones() -> None:
    reference = np.arange(100.0)
    scores = np.array([-5.0, 50.0, 99.0])
    assert np.array_equal(tail_p_values(scores, reference), conformal_p_values(scores, reference))


def test_beyond_the_reference_an_exponential_tail_is_carried_on() -> None:
    # Ten excesses 1, 2, ..., 10 over a limit of 0, of mean 5.5: lighter than exponential.
    reference = np.concatenate((np.zeros(90), np.arange(1.0, 11.0)))
    (found,) = tail_p_values(np.array([11.0]), reference)
    assert found == pytest.approx(min(1 / 101, 11 / 101 * (1 + 2 / 10) ** -10))
    (far,) = tail_p_values(np.array([55.0]), reference)
    assert far == pytest.approx(11 / 101 * (1 + 10 / 10) ** -10)


def test_a_heavy_tail_makes_a_far_row_less_surprising() -> None:
    rng = np.random.default_rng(1)
    light, heavy = rng.exponential(size=2000), rng.pareto(2.5, size=2000)
    far = [tail_p_values(np.array([3 * part.max()]), part)[0] for part in (light, heavy)]
    assert far[0] < 0.01 * far[1]


@pytest.mark.parametrize(
    ("law", "slack"), [("normal", 1.2), ("exponential", 1.2), ("lognormal", 4)]
)
def test_far_rows_of_the_same_law_are_about_as_rare_as_their_values_say(
    law: str, slack: float
) -> None:
    rng = np.random.default_rng(2)
    draw = getattr(rng, law)
    found = [tail_p_values(draw(size=1000), draw(size=400)) for _ in range(400)]
    for level in (0.01, 0.001, 0.0002):
        rates = np.array([(part <= level).mean() for part in found])
        assert rates.mean() <= slack * level + 3 * rates.std() / 20


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=80), st.integers(0, 99))
def test_stranger_rows_have_smaller_values_and_all_lie_within_0_and_1(
    reference: list[float], seed: int
) -> None:
    scores = np.sort(np.random.default_rng(seed).normal(scale=2e3, size=20))
    found = tail_p_values(scores, np.array(reference))
    assert np.all(np.diff(found) <= 0)
    assert np.all((found > 0) & (found <= 1))


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="reference"):
        tail_p_values(np.ones(2), np.empty(0))
