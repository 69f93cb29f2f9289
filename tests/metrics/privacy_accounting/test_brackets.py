"""Bounds of epsilon: known answers, closed forms, laws, and the other accountants."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from auditor.domain.privacy_claims import AdjacencyRelation
from auditor.metrics.privacy_accounting.mechanisms import (
    central_limit_mu,
    gaussian_delta,
    gaussian_epsilon,
    renyi_divergence,
    renyi_epsilon,
    shuffled_epsilon_bounds,
)
from auditor.metrics.privacy_accounting.privacy_loss_distribution import (
    DpSgdSteps,
    EpsilonBounds,
    PrivacyComposition,
    PrivacyLossCells,
    compose_cells,
    compose_steps,
    epsilon_bounds,
    removal_loss_cells,
    replacement_loss_cells,
    round_loss_down,
    round_loss_up,
)

SETTINGS = {
    # noise, rate, steps, delta: dp-accounting 0.6.0 by PLD (discretised to 1e-5, 1e-4 for noise
    # 0.6), the same of replaced records, its RDP accountant, and the limit of Opacus' GDP one.
    (1.0, 0.0356, 560, 1e-5): (5.47945, 8.69696, 6.0730, 4.914),
    (2.0, 0.0356, 560, 1e-5): (1.84421, 3.59876, 2.0207, 1.769),
    (0.6, 0.0356, 560, 1e-5): (18.46843, 23.35479, 20.7305, 18.68),
    (1.1, 0.00427, 14040, 1e-5): (2.38164, 4.22134, 2.5966, 2.322),
    (0.8, 0.005, 1000, 1e-6): (2.00411, 2.40241, 2.6265, 1.325),
    (5.0, 0.1, 1000, 1e-6): (2.98891, 6.38741, 3.2083, 2.954),
}
Case = tuple[float, float, int, float]
noises, rates = st.floats(0.6, 4.0), st.floats(0.002, 0.3)


def bracket(noise: float, rate: float, steps: int, adjacency: AdjacencyRelation) -> EpsilonBounds:
    return epsilon_bounds(DpSgdSteps(noise, rate, steps, adjacency), 1e-5)


@pytest.mark.parametrize("case", SETTINGS)
def test_the_bounds_hold_googles_epsilon_and_lie_within_one_percent_of_it(case: Case) -> None:
    noise, rate, steps, delta = case
    start = time.process_time()
    found = epsilon_bounds(DpSgdSteps(noise, rate, steps), delta)
    spent = time.process_time() - start
    google = SETTINGS[case][0]
    assert found.low <= google * 1.0002
    assert found.high >= google * 0.9998
    assert found.low > google * 0.99
    assert found.high < google * 1.01
    assert spent < 1


@pytest.mark.parametrize("case", SETTINGS)
def test_replacing_a_record_is_worked_out_as_google_does(case: Case) -> None:
    noise, rate, steps, delta = case
    found = epsilon_bounds(DpSgdSteps(noise, rate, steps, AdjacencyRelation.REPLACE), delta)
    google = SETTINGS[case][1]
    assert google * 0.99 < found.low <= google * 1.0002
    assert google * 0.9998 <= found.high < google * 1.01


@pytest.mark.parametrize("case", SETTINGS)
def test_renyi_accounting_agrees_with_googles_and_is_never_below_the_bounds(case: Case) -> None:
    noise, rate, steps, delta = case
    found = renyi_epsilon(noise, rate, steps, delta)
    assert found == pytest.approx(SETTINGS[case][2], rel=0.01)
    assert found >= epsilon_bounds(DpSgdSteps(noise, rate, steps), delta).low


@pytest.mark.parametrize("case", SETTINGS)
def test_the_gaussian_limit_is_what_opacus_reports_and_no_bound(case: Case) -> None:
    noise, rate, steps, delta = case
    found = gaussian_epsilon(central_limit_mu(noise, rate, steps), delta)
    assert found == pytest.approx(SETTINGS[case][3], rel=0.001)
    if noise >= 0.8:
        assert found < epsilon_bounds(DpSgdSteps(noise, rate, steps), delta).low


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (4.0, 30), (10.0, 500)])
@pytest.mark.parametrize("adjacency", AdjacencyRelation)
def test_without_sampling_the_bounds_hold_the_closed_form(
    noise: float, steps: int, adjacency: AdjacencyRelation
) -> None:
    moved = 2 if adjacency is AdjacencyRelation.REPLACE else 1
    truth = gaussian_epsilon(moved * np.sqrt(steps) / noise, 1e-6)
    found = epsilon_bounds(DpSgdSteps(noise, 1.0, steps, adjacency), 1e-6)
    assert found.low <= truth <= found.high
    assert found.width < 0.005


@pytest.mark.slow
@given(noises, rates, st.integers(1, 3000), st.sampled_from(AdjacencyRelation))
@settings(max_examples=20, deadline=None)
def test_more_noise_fewer_steps_and_a_lower_rate_never_cost_privacy(
    noise: float, rate: float, steps: int, adjacency: AdjacencyRelation
) -> None:
    found = bracket(noise, rate, steps, adjacency)
    assert 0 <= found.low <= found.high
    for calmer in (
        bracket(noise * 1.3, rate, steps, adjacency),
        bracket(noise, rate * 0.7, steps, adjacency),
        bracket(noise, rate, max(1, steps // 2), adjacency),
    ):
        assert calmer.low <= found.high


@given(noises, rates, st.integers(1, 2000))
@settings(max_examples=10, deadline=None)
def test_replacing_a_record_is_never_more_private_than_removing_it(
    noise: float, rate: float, steps: int
) -> None:
    removed = bracket(noise, rate, steps, AdjacencyRelation.ADD_REMOVE)
    assert removed.low <= bracket(noise, rate, steps, AdjacencyRelation.REPLACE).high


def truth_of(cells: PrivacyLossCells, epsilons: np.ndarray) -> np.ndarray:
    """The hockey stick of one step at points of the grid, which cells keep exactly."""
    found = []
    for epsilon in epsilons:
        above = (cells.first + np.arange(len(cells.p))) * cells.step >= epsilon - 1e-9
        p, q = cells.p[above].sum() + cells.above[0], cells.q[above].sum() + cells.above[1]
        found.append(p - np.exp(epsilon) * q)
    return np.array(found)


@pytest.mark.parametrize("cut", [removal_loss_cells, replacement_loss_cells])
@pytest.mark.parametrize("way", ["as it is", "turned"])
def test_one_step_is_exact_from_above_and_never_too_much_from_below(
    cut: type[PrivacyLossCells], way: str
) -> None:
    cells = cut(0.9, 0.1, 0.01, 1e-12)
    cells = cells.turned() if way == "turned" else cells
    epsilons = np.arange(0.0, 0.08, 0.01)
    truth = truth_of(cells, epsilons)
    assert truth[0] > 0.01
    one = DpSgdSteps(0.9, 0.1, 1)
    above = compose_cells((cells,), one, 1e-6, above=True).sides[0].deltas(epsilons)
    below = compose_cells((cells,), one, 1e-6, above=False).sides[0].deltas(epsilons)
    assert above == pytest.approx(truth, abs=1e-9)
    assert (below <= truth + 1e-9).all()
    assert below == pytest.approx(truth, abs=2e-3)


@pytest.mark.parametrize("cut", [removal_loss_cells, replacement_loss_cells])
def test_putting_losses_onto_a_grid_keeps_all_mass_from_above_and_makes_none_from_below(
    cut: type[PrivacyLossCells],
) -> None:
    cells = cut(0.7, 0.02, 0.003, 1e-10)
    above, below = round_loss_up(cells), round_loss_down(cells)
    assert above.mass.sum() + above.infinite == pytest.approx(1, abs=1e-12)
    assert below.mass.sum() <= 1 + 1e-12
    assert below.mass.sum() > 1 - 1e-6
    assert below.mass @ below.losses <= above.mass @ above.losses


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0])
def test_opposite_gradients_are_the_worst_that_a_replaced_record_can_do(epsilon: float) -> None:
    x = np.linspace(-12, 12, 40001)

    def stick(first: float, second: float) -> float:
        p, q = (0.8 * norm.pdf(x) + 0.2 * norm.pdf(x, mean) for mean in (first, second))
        return float(np.maximum(p - np.exp(epsilon) * q, 0).sum() * (x[1] - x[0]))

    worst = stick(1.0, -1.0)
    assert worst > stick(1.0, 0.0)
    means = np.linspace(-1, 1, 5)
    assert all(stick(a, b) <= worst + 1e-9 for a in means for b in means)


def test_a_delta_beyond_what_can_be_resolved_has_no_upper_bound() -> None:
    found = epsilon_bounds(DpSgdSteps(1.0, 0.01, 10_000), 1e-13)
    assert found.high == np.inf
    assert found.low < np.inf


def test_deltas_fall_with_epsilon_and_lie_between_their_bounds() -> None:
    steps = DpSgdSteps(1.0, 0.0356, 560)
    epsilons = np.linspace(0, 8, 30)
    above, below = (
        compose_steps(steps, 1e-5, above=side).deltas(epsilons) for side in (True, False)
    )
    assert (np.diff(above) <= 1e-12).all()
    assert (below <= above).all()
    assert isinstance(compose_steps(steps, 1e-5, above=True), PrivacyComposition)


@pytest.mark.parametrize("order", [2, 3, 17])
def test_orders_between_whole_ones_are_integrated_as_well_as_whole_ones_are_summed(
    order: int,
) -> None:
    near = [renyi_divergence(0.8, 0.02, order + side) for side in (-1e-6, 1e-6)]
    assert np.mean(near) == pytest.approx(renyi_divergence(0.8, 0.02, order), rel=1e-6)


def test_no_shift_is_private_and_a_far_one_is_not() -> None:
    assert gaussian_epsilon(1e-9, 1e-6) == 0
    assert gaussian_delta(0.0, 1.0) == 0
    assert gaussian_delta(50.0, 1.0) == pytest.approx(1)
    assert gaussian_epsilon(1.0, gaussian_delta(1.0, 2.5)) == pytest.approx(2.5)


@pytest.mark.parametrize("broken", [(0, 0.1, 1), (1, 0, 1), (1, 1.1, 1), (1, 0.1, 0)])
def test_what_is_no_mechanism_is_refused(broken: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match="rate within 0 and 1"):
        DpSgdSteps(*broken)


def test_one_epoch_of_one_batch_of_shuffled_records_is_the_plain_mechanism() -> None:
    found = shuffled_epsilon_bounds(1.0, 1, 1, 1e-5)
    truth = gaussian_epsilon(1.0, 1e-5)
    assert found.high == pytest.approx(truth)
    assert found.low == pytest.approx(truth, rel=0.1)
    assert found.low <= truth


def test_more_batches_hide_a_shuffled_record_better_and_more_epochs_less() -> None:
    few, many = (shuffled_epsilon_bounds(0.6, batches, 1, 1e-6) for batches in (10, 1000))
    assert 0 < many.low < few.low < few.high == many.high
    assert shuffled_epsilon_bounds(0.6, 10, 5, 1e-6).high > few.high
    assert shuffled_epsilon_bounds(0.6, 10, 0.5, 1e-6).low == 0


def test_the_lower_bound_of_shuffled_batches_is_what_an_adversary_of_the_largest_step_sees() -> (
    None
):
    rng, noise, batches, delta = np.random.default_rng(0), 0.5, 20, 1e-2
    sums = noise * rng.standard_normal((2, 200_000, batches))
    sums[1, :, 0] += 1
    largest = sums.max(axis=2)
    limits = np.linspace(0, 2.5, 60)
    chances = (largest[:, None, :] > limits[:, None]).mean(axis=2)
    kept = chances[0] > 1e-3
    seen = np.log((chances[1][kept] - delta).clip(1e-9) / chances[0][kept]).max()
    assert shuffled_epsilon_bounds(noise, batches, 1, delta).low == pytest.approx(seen, abs=0.1)


@pytest.mark.parametrize("adjacency", AdjacencyRelation)
@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_next_to_no_noise_keeps_no_epsilon_that_can_be_named(
    adjacency: AdjacencyRelation, rate: float
) -> None:
    for noise in (0.001, 0.02):
        found = epsilon_bounds(DpSgdSteps(noise, rate, 10, adjacency), 1e-5)
        assert found.low >= 600
        assert found.high == np.inf


@pytest.mark.parametrize(("noise", "rate", "steps"), [(0.4, 1e-4, 10_000), (0.3, 1e-6, 100_000)])
def test_rare_records_and_little_noise_are_held_within_two_percent(
    noise: float, rate: float, steps: int
) -> None:
    assert epsilon_bounds(DpSgdSteps(noise, rate, steps), 1e-5).width < 0.02
