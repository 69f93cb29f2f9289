"""Estimates without labels: cases on paper, and how often their interval covers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from auditor.metrics.stats.drift import (
    GROUPS,
    LabelledReference,
    UnlabelledSample,
    effective_sample_size,
    estimated_accuracy,
)

Floats = NDArray[np.float64]


def known(
    stated: Floats, happened: NDArray[np.bool_], weights: Floats | None = None
) -> LabelledReference:
    given = np.ones(len(stated)) if weights is None else weights
    return LabelledReference(stated, happened, given, np.arange(len(stated)) % GROUPS)


def test_a_probability_that_came_true_so_often_is_expected_to_do_so_again() -> None:
    before = known(np.full(1000, 0.9), np.arange(1000) % 5 > 0)
    now = UnlabelledSample(np.full(50, 0.9), np.ones(50, dtype=np.bool_))
    assert estimated_accuracy(before, now, 0.95).value == pytest.approx(0.8)
    refused = UnlabelledSample(np.full(50, 0.9), np.zeros(50, dtype=np.bool_))
    assert estimated_accuracy(before, refused, 0.95).value == pytest.approx(0.2)


def test_weights_count_rows_as_often_as_they_say() -> None:
    happened = np.arange(1000) < 500
    weights = np.where(happened, 3.0, 1.0)
    now = UnlabelledSample(np.full(9, 0.5), np.ones(9, dtype=np.bool_))
    found = estimated_accuracy(known(np.full(1000, 0.5), happened, weights), now, 0.95)
    assert found.value == pytest.approx(0.75)
    assert effective_sample_size(weights) == pytest.approx(2000**2 / (500 * 9 + 500))
    assert effective_sample_size(np.full(3, 1e-200)) == 0


def test_the_interval_covers_the_accuracy_of_the_current_rows() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        stated, now = rng.random(3000), rng.beta(2, 2, 2000)
        truth = lambda p: p**1.3  # noqa: E731 -- the model is too bold
        found = estimated_accuracy(
            known(stated, rng.random(3000) < truth(stated)), UnlabelledSample(now, now >= 0.5), 0.95
        )
        right = (rng.random(2000) < truth(now)) == (now >= 0.5)
        covered += found.low <= right.mean() <= found.high
    assert covered >= 0.9 * 200


def test_nothing_is_expected_of_no_rows() -> None:
    nothing = known(np.array([]), np.array([], dtype=np.bool_))
    with pytest.raises(ValueError, match="needs known and unknown rows"):
        estimated_accuracy(nothing, UnlabelledSample(np.array([0.1]), np.array([True])), 0.95)
