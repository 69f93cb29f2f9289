import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from simulated_coverage import allowed, coverage

from auditor.domain.tasks import Floats
from auditor.metrics.stats.binned_calibration import (
    debiased_calibration_error,
    equal_mass_bins,
    equal_width_bins,
    expected_calibration_error,
    expected_error_if_calibrated,
    reliability_bins,
)

Law = Callable[[np.random.Generator, int, float], tuple[Floats, Floats]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def tempered(rng: np.random.Generator, rows: int, temperature: float) -> tuple[Floats, Floats]:
    """Stated probabilities from Beta(2, 3), and true ones that are cooler by a temperature."""
    stated = rng.beta(2, 3, rows)
    return stated, expit(logit(stated) / temperature)


def happens(rng: np.random.Generator, chances: Floats) -> Flags:
    return np.asarray(rng.random(len(chances)) < chances)


def test_certainty_shares_the_last_bin() -> None:
    # Lightning-AI/torchmetrics issue 3510: the textbook value is 0.475; an extra bin gives 0.525.
    assert expected_calibration_error(
        np.array([0.95, 1.0]), np.array([True, False])
    ) == pytest.approx(0.475)


@given(st.integers(1, 40), st.lists(st.floats(0, 1), max_size=20))
def test_rows_as_near_an_edge_as_can_be_lie_on_their_own_side_of_it(
    bins: int, others: list[float]
) -> None:
    edges = np.linspace(0.0, 1.0, bins + 1)
    near = [edges, np.nextafter(edges, 0), np.nextafter(edges[:-1], 1), np.array(others)]
    stated = np.concatenate(near)
    looked_up = np.searchsorted(edges, stated, side="right") - 1
    assert np.array_equal(equal_width_bins(stated, bins), np.minimum(looked_up, bins - 1))


def test_the_expected_error_of_two_bins_is_found_by_hand() -> None:
    stated = np.array([0.1] * 10 + [0.9] * 30)
    happened = np.array([True] * 3 + [False] * 7 + [True] * 24 + [False] * 6)
    assert expected_calibration_error(stated, happened) == pytest.approx(0.25 * 0.2 + 0.75 * 0.1)


def test_one_stated_value_has_one_bin_and_the_plain_difference() -> None:
    stated, happened = np.full(200, 0.7), np.arange(200) < 120
    (only,) = reliability_bins(stated, happened, equal_mass_bins(stated), 0.95)
    assert (only.stated, only.happened, only.n) == pytest.approx((0.7, 0.6, 200))
    assert expected_calibration_error(stated, happened) == pytest.approx(0.1)
    expected = np.sqrt(0.1**2 - 0.6 * 0.4 / 199)
    assert debiased_calibration_error(stated, happened, 0.95).value == pytest.approx(expected)


def test_the_debiased_error_is_kumars_formula() -> None:
    rng = np.random.default_rng(1)
    stated, chances = tempered(rng, 600, 2.5)
    happened = happens(rng, chances)
    order = np.argsort(stated)
    total = 0.0
    for part in np.split(order, 15):
        rate = happened[part].mean()
        total += (rate - stated[part].mean()) ** 2 - rate * (1 - rate) / (len(part) - 1)
    assert debiased_calibration_error(stated, happened, 0.95).value == pytest.approx(
        np.sqrt(total / 15)
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_bins_are_filled_in_order_and_hold_every_row(values: list[float]) -> None:
    stated = np.array(values)
    for place in (equal_mass_bins, equal_width_bins):
        bins = reliability_bins(stated, stated > 0.5, place(stated), 0.95)
        assert sum(item.n for item in bins) == len(stated)
        assert all(one.high < other.low for one, other in itertools.pairwise(bins))
        assert all(b.happened_low <= b.happened <= b.happened_high for b in bins)
        assert len(bins) <= 15


def test_equal_mass_bins_hold_the_same_number_of_rows() -> None:
    placed = equal_mass_bins(np.random.default_rng(0).random(1500))
    assert np.bincount(placed).tolist() == [100] * 15


def test_the_order_of_rows_plays_no_part() -> None:
    rng = np.random.default_rng(2)
    stated = rng.integers(1, 10, 400) / 10
    happened = happens(rng, stated)
    order = rng.permutation(400)
    one, other = (
        debiased_calibration_error(stated[rows], happened[rows], 0.95)
        for rows in (np.arange(400), order)
    )
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_a_calibrated_model_still_has_an_expected_error_which_is_foretold() -> None:
    # Published simulation: .085 for 200 rows is the mean ECE-15 of a calibrated Beta(2, 3) model.
    rng = np.random.default_rng(3)
    found, foretold = [], []
    for _ in range(400):
        stated, chances = tempered(rng, 200, 1.0)
        found.append(expected_calibration_error(stated, happens(rng, chances)))
        foretold.append(expected_error_if_calibrated(stated))
    assert np.mean(found) == pytest.approx(0.085, abs=0.004)
    assert np.mean(foretold) == pytest.approx(np.mean(found), rel=0.05)


@pytest.mark.parametrize(
    ("temperature", "l2", "ece"),
    [(1.2, 0.0276, 0.0244), (1.6, 0.0673, 0.0587), (2.5, 0.1174, None)],
)
def test_a_bold_model_has_the_known_population_errors(
    temperature: float, l2: float, ece: float | None
) -> None:
    rng = np.random.default_rng(4)
    stated, chances = tempered(rng, 1_000_000, temperature)
    happened = happens(rng, chances)
    assert debiased_calibration_error(stated, happened, 0.95).value == pytest.approx(l2, abs=0.0015)
    if ece is not None:
        assert expected_calibration_error(stated, happened) == pytest.approx(ece, abs=0.0015)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=150, max_size=200),
    st.sampled_from([0.8, 0.999]),
)
def test_the_debiased_error_lies_within_its_interval(
    rows: list[tuple[float, bool]], level: float
) -> None:
    stated, happened = (np.array(column) for column in zip(*rows, strict=True))
    found = debiased_calibration_error(stated, happened, level)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_less_error_than_noise_claims_no_more_than_noise_allows() -> None:
    exactly_half = np.arange(300) % 2 == 0
    found = debiased_calibration_error(np.full(300, 0.5), exactly_half, 0.95)
    assert (found.value, found.low) == (0, 0)
    assert found.high > 2 * 0.5 / np.sqrt(300)


def test_rows_that_all_came_true_do_not_prove_calibration() -> None:
    found = debiased_calibration_error(np.full(450, 0.999), np.ones(450, dtype=bool), 0.95)
    assert found.low == 0
    assert found.high > 0.002


def test_a_handful_of_rows_has_no_debiased_error() -> None:
    with pytest.raises(ValueError, match="150 rows"):
        debiased_calibration_error(np.full(149, 0.5), np.zeros(149, dtype=bool), 0.95)


def sure(rng: np.random.Generator, rows: int, temperature: float) -> tuple[Floats, Floats]:
    """Top labels of an accurate model, most of them stated with near certainty."""
    odds = np.abs(rng.normal(8, 3, rows))
    return expit(odds), expit(odds / temperature)


def l2_coverage(law: Law, temperature: float, rows: int, repeats: int) -> float:
    rng = np.random.default_rng(rows)
    stated, chances = law(rng, 2_000_000, temperature)
    placed = equal_mass_bins(stated)
    errors = np.bincount(placed, stated - chances) / np.bincount(placed)
    truth = float(np.sqrt(np.mean(errors**2)))

    def sample() -> tuple[Floats, Flags]:
        ours, true = law(rng, rows, temperature)
        return ours, happens(rng, true)

    found = (debiased_calibration_error(*sample(), 0.95) for _ in range(repeats))
    return coverage(found, truth if temperature > 1 else 0.0)[0]


@pytest.mark.parametrize("temperature", [1.0, 1.6])
def test_the_debiased_error_is_covered(temperature: float) -> None:
    assert l2_coverage(tempered, temperature, 300, 500) >= allowed(0.95, 500)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 1.2, 1.6, 2.5])
@pytest.mark.parametrize("rows", [150, 500, 5000])
def test_the_debiased_error_is_covered_in_many_samples(temperature: float, rows: int) -> None:
    assert l2_coverage(tempered, temperature, rows, 4000) >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("rows", [600, 1000, 4000])
def test_the_debiased_error_of_a_sure_and_bold_model_is_covered(rows: int) -> None:
    assert l2_coverage(sure, 2.0, rows, 4000) >= 0.94
