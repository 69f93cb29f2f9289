"""Scores of canaries: likelihood ratios of noisy steps, whatever their unit and their noise."""

import numpy as np
import pytest

from auditor.domain.tasks import Floats
from auditor.metrics.privacy_accounting.canaries import (
    SIGNALS,
    Bits,
    CanaryLikelihoods,
    canary_auc,
    estimate_noise,
)
from auditor.metrics.privacy_accounting.canary_readings import IdealCanaries

RATE, STEPS, CANARIES = 0.0356, 560, 1500


def steps_of(noise: float, seed: int = 0) -> tuple[list[Floats], Bits]:
    """Coordinates of canaries alone in theirs, step by step, and who is in."""
    rng = np.random.default_rng([0xD1, seed])
    included = rng.random(CANARIES) < 0.5
    seen = [
        (rng.random(CANARIES) < RATE) * included + noise * rng.standard_normal(CANARIES)
        for _ in range(STEPS)
    ]
    return seen, included


def scored(seen: list[Floats], rate: float = RATE) -> Floats:
    likelihoods = CanaryLikelihoods(len(seen[0]), rate)
    for coordinates in seen:
        likelihoods.add(coordinates)
    return likelihoods.scores


@pytest.mark.parametrize("signal", [0.25, 1.0, 4.0])
def test_scores_are_the_log_likelihood_ratios_of_the_noise_that_there_was(signal: float) -> None:
    seen, _ = steps_of(1 / signal)
    held = [RATE * np.exp(signal * signal * x - signal**2 / 2) for x in seen]
    exact = sum(np.log(1 - RATE + item) for item in held)
    assert np.corrcoef(scored(seen), exact)[0, 1] > 0.998
    assert np.median(np.abs(scored(seen) - exact)) < 0.06 * np.std(exact)


@pytest.mark.parametrize("unit", [1e-9, 3e-4, 7.0, 1e9])
def test_the_unit_of_the_coordinates_tells_nothing(unit: float) -> None:
    seen, _ = steps_of(0.7)
    few = [item[:40] for item in seen[:20]]
    assert scored([item * unit for item in few]) == pytest.approx(scored(few), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("noise", "gain"), [(0.25, 0.01), (0.5, 0.08), (1.0, 0.02)])
def test_steps_one_by_one_tell_what_their_sum_hides(noise: float, gain: float) -> None:
    seen, included = steps_of(noise)
    summed, told = (canary_auc(it, included) for it in (np.sum(seen, axis=0), scored(seen)))
    assert told > summed + gain


@pytest.mark.parametrize("noise", [0.5, 1.4, 4.0])
def test_scores_separate_about_as_well_as_any_can(noise: float) -> None:
    ideal = IdealCanaries(CANARIES, noise, RATE, STEPS).told(1.0).separation
    found = [canary_auc(scored(seen), who) for seen, who in (steps_of(noise, k) for k in range(3))]
    assert np.mean(found) == pytest.approx(ideal, abs=0.02)


def test_without_noise_every_canary_that_was_in_a_step_is_told() -> None:
    seen, included = steps_of(0.0)
    assert canary_auc(scored(seen), included) == 1
    assert scored(seen).min() == pytest.approx(STEPS * np.log1p(-RATE))


def test_a_step_that_shows_nothing_at_all_speaks_against_every_canary_alike() -> None:
    scores = scored([np.zeros(7)] * 3)
    assert len(set(scores.tolist())) == 1
    assert scores[0] <= 0


def test_where_every_step_holds_a_record_scores_rank_as_sums_do() -> None:
    rng = np.random.default_rng(5)
    included = rng.random(CANARIES) < 0.5
    seen = [included + 8 * rng.standard_normal(CANARIES) for _ in range(100)]
    found = canary_auc(scored(seen, 1.0), included)
    assert found == pytest.approx(canary_auc(np.sum(seen, axis=0), included), abs=0.005)


def test_noise_is_read_off_the_side_that_canaries_leave_alone() -> None:
    rng = np.random.default_rng(6)
    noise = 3 * rng.standard_normal(20_000)
    assert estimate_noise(noise) == pytest.approx(3, rel=0.02)
    assert estimate_noise(noise + 40 * (rng.random(20_000) < 0.2)) == pytest.approx(3, rel=0.02)
    assert estimate_noise(np.array([0.0, 0.0, 8.0])) == 8 / SIGNALS[-1]
    assert estimate_noise(np.zeros(3)) > 0


def test_what_is_no_number_is_not_made_one() -> None:
    for strange in (np.nan, np.inf):
        assert not np.isfinite(scored([np.array([1.0, strange, -1.0])])).all()


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.5])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate of a step"):
        CanaryLikelihoods(3, rate)
