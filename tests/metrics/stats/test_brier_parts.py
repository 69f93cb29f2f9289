import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from auditor.metrics.stats.binned_calibration import (
    brier_parts,
    debiased_calibration_error,
    equal_mass_bins,
    murphy_decomposition,
)


def test_the_parts_of_two_bins_are_found_by_hand() -> None:
    # 0.1 comes true in 3 of 10 and 0.9 in 24 of 30; the base rate is 27 of 40.
    stated = np.array([0.1] * 10 + [0.9] * 30)
    happened = np.array([True] * 3 + [False] * 7 + [True] * 24 + [False] * 6)
    parts = murphy_decomposition(stated, happened, equal_mass_bins(stated))
    assert parts.reliability == pytest.approx(0.25 * 0.2**2 + 0.75 * 0.1**2)
    assert parts.resolution == pytest.approx(0.25 * (0.3 - 0.675) ** 2 + 0.75 * (0.8 - 0.675) ** 2)
    assert parts.uncertainty == pytest.approx(0.675 * 0.325)
    assert parts.rest == pytest.approx(0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_the_parts_add_up_to_the_score(rows: list[tuple[float, bool]]) -> None:
    stated, happened = (np.array(column) for column in zip(*rows, strict=True))
    parts = murphy_decomposition(stated.astype(np.float64), happened, equal_mass_bins(stated))
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.rest
    assert total == pytest.approx(parts.brier, abs=1e-12)


def test_what_calibration_costs_is_the_square_of_the_debiased_error() -> None:
    rng = np.random.default_rng(1)
    stated = rng.beta(2, 3, 3000)
    happened = rng.random(3000) < expit(logit(stated) / 2)
    parts, root = (
        brier_parts(stated, happened, 0.95),
        debiased_calibration_error(stated, happened, 0.95),
    )
    found = parts.reliability
    assert (found.value, found.low) == pytest.approx((root.value**2, root.low**2))


def test_a_model_that_tells_nothing_apart_has_no_resolution() -> None:
    rng = np.random.default_rng(2)
    stated = rng.random(1000)
    parts = brier_parts(stated, rng.random(1000) < 0.3, 0.95)
    assert parts.resolution.low == 0
    assert parts.reliability.low > 0.05
    assert parts.uncertainty.low <= 0.21 <= parts.uncertainty.high


def test_uncertainty_is_largest_at_one_half() -> None:
    found = brier_parts(np.full(400, 0.5), np.arange(400) % 2 == 0, 0.95).uncertainty
    assert (found.value, found.high) == (0.25, 0.25)
    assert found.low < 0.25


def test_a_handful_of_rows_is_not_taken_apart() -> None:
    with pytest.raises(ValueError, match="150 rows"):
        brier_parts(np.full(149, 0.5), np.zeros(149, dtype=bool), 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 1.6, 2.5])
@pytest.mark.parametrize("rows", [150, 3000])
def test_the_parts_are_covered(temperature: float, rows: int) -> None:
    rng = np.random.default_rng(rows)
    stated = rng.beta(2, 3, 2_000_000)
    chances = expit(logit(stated) / temperature)
    placed = equal_mass_bins(stated)
    said, rates = (np.bincount(placed, item) / np.bincount(placed) for item in (stated, chances))
    base = chances.mean()
    truth = [
        float(np.mean((said - rates) ** 2)) if temperature > 1 else 0.0,
        float(np.mean((rates - base) ** 2)),
        float(base * (1 - base)),
    ]
    hits = np.zeros(3)
    for _ in range(1000):
        stated = rng.beta(2, 3, rows)
        happened = rng.random(rows) < expit(logit(stated) / temperature)
        parts = brier_parts(stated, happened, 0.95)
        each = (parts.reliability, parts.resolution, parts.uncertainty)
        hits += [at.low <= true <= at.high for at, true in zip(each, truth, strict=True)]
    assert (hits / 1000 >= 0.93).all()
