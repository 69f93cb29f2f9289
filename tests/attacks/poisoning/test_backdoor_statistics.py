"""How far one class stands out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.poisoning.backdoor_detectors import (
    anomaly_indices,
    lead_over_second,
    leading_classes,
    mask_scores,
    noise_scores,
)

NUMBERS = st.lists(st.floats(-100, 100), min_size=4, max_size=12)


def test_the_index_is_the_published_one() -> None:
    # Median 3, absolute deviations 2 1 0 1 97, of which the median is 1.
    found = anomaly_indices(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), 0.01)
    assert found[4] == pytest.approx(97 / 1.4826)
    assert found[2] == 0


@given(NUMBERS, st.floats(-50, 50))
def test_the_index_does_not_move_with_the_scale_s_origin(values: list[float], by: float) -> None:
    given_values = np.array(values)
    assert np.allclose(
        anomaly_indices(given_values, 0.5), anomaly_indices(given_values + by, 0.5), atol=1e-6
    )


def test_classes_that_agree_make_nothing_of_a_trifle() -> None:
    assert anomaly_indices(np.array([0.1, 0.1, 0.1, 0.11]), 0.05).max() < 1


def test_half_the_mask_is_a_lead_of_a_logarithm_of_two() -> None:
    assert lead_over_second(mask_scores(np.array([0.05, 0.1, 0.4]))) == pytest.approx(np.log(2))


def test_the_larger_share_of_either_noise_speaks() -> None:
    assert noise_scores(np.array([[5, 5], [1, 9]])).tolist() == [0.5, 0.9]


@pytest.mark.parametrize(
    ("values", "out"),
    [
        ([0.0, 0.1, 0.0, 0.9, 0.1, 0.0, 0.0, 0.2, 0.1], [3]),
        ([0.0, 0.1, 0.0, 0.9, 0.1, 0.0, 0.0, 1.0, 0.1], [7, 3]),
        ([0.0, 0.1, 0.6, 0.6, 0.1, 0.0, 0.0, 1.0, 0.1], [7, 2, 3]),
        # Four of nine are no longer a few that stand out, and the highest is not ahead of them.
        ([0.0, 0.1, 0.9, 0.9, 0.1, 0.9, 0.0, 1.0, 0.1], []),
        # What falls off step by step has nobody ahead.
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.1, 0.3, 0.5], []),
        ([0.0, 0.0, 0.0, 0.0], []),
    ],
)
def test_classes_that_stand_out_together_are_named_together(
    values: list[float], out: list[int]
) -> None:
    assert leading_classes(np.array(values), 2.0, 0.05, 0.3).tolist() == out
