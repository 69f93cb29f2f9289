"""Randomised smoothing: known radii of known models, and honest limits."""

import math

import numpy as np
import pytest
from evasion_toys import ToyModel, box, classes, linear
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from auditor.attacks.evasion.certified import (
    SmoothingNoise,
    SmoothingVotes,
    certified_radii,
    sample_votes,
)
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.threat_model import ThreatModel, lp_threat
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats, InputSpace

ALPHA = 0.001


def threat(space: InputSpace, *, whole: bool = False) -> ThreatModel:
    return lp_threat(space, Norm.LINF, 1.0, space.low.shape, whole=whole)


def voted(
    model: ToyModel, rows: Floats, labels: NDArray[np.int64], sigma: float, samples: int = 4000
) -> SmoothingVotes:
    return sample_votes(
        model,
        classes(2),
        SmoothingNoise(threat(box(rows.shape[1:], high=1.0)), sigma),
        rows,
        labels,
        selection=50,
        samples=samples,
        generator=np.random.default_rng(0),
        progress=report_nothing,
    )


def test_a_constant_model_is_certified_as_far_as_so_many_copies_can_tell() -> None:
    # All of n copies agree, so that at least alpha ** (1 / n) of all do.
    model = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    rows = np.full((3, 4), 0.5)
    votes = voted(model, rows, np.zeros(3, dtype=np.int64), 0.25, samples=1000)
    assert votes.counted.tolist() == [[1000, 0]] * 3
    known = 0.25 * norm.ppf(ALPHA ** (1 / 1000))
    assert certified_radii(votes, ALPHA, 0.25) == pytest.approx([known] * 3)


def test_the_radius_of_a_linear_model_approaches_the_distance_of_its_plane() -> None:
    # Cohen et al. (2019), proposition 4: smoothing a linear classifier changes nothing, and the
    # radius is the distance. Rows lie far enough inside the box for clipping not to matter.
    rng = np.random.default_rng(1)
    way = rng.normal(size=6)
    way /= np.linalg.norm(way)
    model = ToyModel(lambda x: np.stack([-(x - 0.5) @ way, (x - 0.5) @ way], axis=1))
    away = np.linspace(-0.06, 0.06, 25)
    rows = 0.5 + away[:, None] * way
    labels = (away > 0).astype(np.int64)
    votes = voted(model, rows, labels, 0.05, samples=20_000)
    radii = certified_radii(votes, ALPHA, 0.05)
    assert (radii <= np.abs(away)).all()
    near = (np.abs(away) > 0.01) & (np.abs(away) < 0.05)
    assert radii[near] == pytest.approx(np.abs(away[near]), abs=0.006)


def test_a_row_whose_guess_is_wrong_costs_no_second_round() -> None:
    model = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    rows = np.full((2, 4), 0.5)
    votes = voted(model, rows, np.array([0, 1]), 0.25, samples=300)
    assert model.queries == 2 * 50 + 300
    assert votes.counted.sum(axis=1).tolist() == [300, 0]
    assert certified_radii(votes, ALPHA, 0.25)[1] == 0


@given(hits=st.integers(0, 500), alpha=st.floats(1e-6, 0.4), sigma=st.floats(0.01, 2))
def test_radii_are_finite_and_shrink_with_doubt(hits: int, alpha: float, sigma: float) -> None:
    votes = SmoothingVotes(np.array([[9, 1]]), np.array([[hits, 500 - hits]]))
    (radius,) = certified_radii(votes, alpha, sigma)
    assert 0 <= radius < math.inf
    assert certified_radii(votes, alpha / 2, sigma)[0] <= radius
    if hits <= 250:
        assert radius == 0


def test_the_lower_limit_is_too_high_no_more_often_than_alpha() -> None:
    # Copies of a class with the true share 0.8 under sigma 1: the radius is norm.ppf(0.8).
    rng = np.random.default_rng(0)
    hits = rng.binomial(200, 0.8, size=20_000)
    counted = np.stack([hits, 200 - hits], axis=1)
    radii = certified_radii(SmoothingVotes(np.tile([1, 0], (20_000, 1)), counted), 0.05, 1.0)
    assert (radii > norm.ppf(0.8)).mean() <= 0.05


def test_noise_is_counted_in_ranges_and_stays_in_the_box_on_its_steps() -> None:
    still = np.array([True, True, False])
    space = InputSpace(np.zeros(3), np.array([10.0, 200.0, 1.0]), np.array([0.0, 2.0, 0.0]), still)
    noise = SmoothingNoise(threat(space), 0.1)
    copies = noise.copies(np.array([5.0, 100.0, 0.5]), 4000, np.random.default_rng(0))
    assert copies.std(axis=0) == pytest.approx([1.0, 20.0, 0.0], rel=0.05)
    np.testing.assert_array_equal(copies[:, 1] % 2, 0)
    wide = SmoothingNoise(threat(space), 5.0).copies(np.zeros(3), 500, np.random.default_rng(0))
    assert wide.min() >= 0
    assert (wide.max(axis=0) <= [10, 200, 1]).all()


def test_whole_numbers_get_whole_noise() -> None:
    space = box((5,), high=255.0)
    noise = SmoothingNoise(threat(space, whole=True), 0.1)
    copies = noise.copies(np.full(5, 250, dtype=np.uint8), 300, np.random.default_rng(0))
    assert copies.dtype == np.uint8
    assert copies.max() == 255


def test_the_same_seed_gives_the_same_votes() -> None:
    rows = np.random.default_rng(0).random((5, 4))
    first, second = (
        voted(linear(0, 4)[0], rows, np.zeros(5, dtype=np.int64), 0.3, samples=200)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.chosen, second.chosen)
    np.testing.assert_array_equal(first.counted, second.counted)
