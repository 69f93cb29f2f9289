"""Class-level inversion: models whose best row is known, and the seam for a generator."""

from dataclasses import dataclass

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.losses import softmax
from auditor.attacks.privacy.model_inversion import (
    GRADIENT,
    LABELS,
    SCORES,
    UNLIKELY,
    IndependentPrior,
    InversionEffort,
    InversionTarget,
    PrincipalAxesPrior,
    ascend_latent_points,
    reconstruct_rows,
    search_latent_points,
)
from auditor.attacks.privacy.model_inversion_space import ReconstructionSpace
from auditor.domain.row_generators import DifferentiableGenerator, RowGenerator
from auditor.domain.tasks import FeatureKind, Floats, InputFeature, InputSpace

EFFORT = InversionEffort(steps=400, generations=40, population=24)


def unit(size: int) -> ReconstructionSpace:
    """A box from -1 to 1."""
    ends = np.ones(size)
    return ReconstructionSpace((size,), np.dtype(np.float64), -ends, ends, np.zeros(size), ())


def linear_victim(seed: int, size: int, aims: list[int], scale: float = 1.0) -> InversionTarget:
    """A softmax of two linear scores, with its exact twin."""
    weights = np.random.default_rng(seed).normal(size=(size, 2)) * scale
    bias = np.zeros(2)
    model = ToyModel(lambda x: x @ weights + bias)
    return InversionTarget(
        lambda rows: softmax(model.predict(rows)),
        lambda said: said.argmax(axis=1),
        LinearTwin(weights, bias),
        unit(size),
        np.array(aims),
    )


def optimum(victim: InversionTarget, generator: IndependentPrior) -> Floats:
    """Where the slope of the log odds and the cost of an unlikely point are even."""
    assert isinstance(victim.twin, LinearTwin)
    weights = victim.twin.weights
    found: Floats = (weights[:, 1] - weights[:, 0]) * generator.spread / UNLIKELY
    return found


def test_the_climb_ends_where_paper_says() -> None:
    victim = linear_victim(1, 6, [1, 1, 0], scale=0.3)
    generator = IndependentPrior.of(victim.ground)
    found = ascend_latent_points(victim, generator, np.zeros((3, 6)), 800)
    best = optimum(victim, generator)
    assert np.abs(best).max() < 2, "the box does not cut the optimum off"
    assert np.allclose(found[:2], best, atol=0.02)
    assert np.allclose(found[2], -best, atol=0.02)


def test_the_search_ends_near_to_it_without_a_gradient() -> None:
    victim = linear_victim(1, 6, [1], scale=0.3)
    generator = IndependentPrior.of(victim.ground)
    made = reconstruct_rows(SCORES, victim, generator, EFFORT, np.random.default_rng(0))
    assert np.linalg.norm(made - generator.make(optimum(victim, generator)[None])) < 0.35


def test_labels_alone_lead_into_the_class() -> None:
    victim = linear_victim(2, 4, [0, 1], scale=3.0)
    generator = IndependentPrior.of(victim.ground)
    made = reconstruct_rows(LABELS, victim, generator, EFFORT, np.random.default_rng(0))
    assert victim.decide(victim.score(made)).tolist() == [0, 1]


def test_a_search_finds_the_top_of_a_hill_for_each_owner() -> None:
    tops = np.array([[0.5, -1.0, 0.2], [-0.7, 0.3, 1.1]])
    found = search_latent_points(
        lambda points, owners: -((points - tops[owners]) ** 2).sum(axis=1),
        np.zeros((2, 3)),
        EFFORT,
        np.random.default_rng(0),
    )
    assert np.abs(found - tops).max() < 0.1


def test_principal_axes_span_the_plane_that_rows_lie_in() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 7))
    rows = 3 + rng.normal(size=(200, 2)) @ plane
    prior = PrincipalAxesPrior.of(rows, 5)
    assert prior.size == 2
    latents = (rows - prior.mean) @ np.linalg.pinv(prior.axes)
    near = (np.abs(latents) < 3).all(axis=1)
    assert near.mean() > 0.95
    assert np.allclose(prior.make(latents)[near], rows[near])
    assert np.allclose(latents.std(axis=0), 1, atol=0.01)
    assert np.allclose(prior.make(np.zeros((1, 2))), rows.mean(axis=0))


@given(st.integers(0, 1000))
def test_pulling_back_is_the_adjoint_of_making(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for prior in (PrincipalAxesPrior.of(rng.normal(size=(30, 5)), 4), IndependentPrior.of(unit(5))):
        latents, slopes = rng.normal(size=(1, prior.size)), rng.normal(size=(1, 5))
        step = 1e-6 * rng.normal(size=latents.shape)
        inside = (np.abs(latents) < 1.9).all()
        moved = ((prior.make(latents + step) - prior.make(latents)) * slopes).sum()
        pulled = (prior.pull(latents, slopes) * step).sum()
        assert not inside or moved == pytest.approx(pulled, abs=1e-11)


@dataclass(frozen=True)
class Ring:
    """A toy generator of a user's: rows on a circle, which no axis spans."""

    size: int = 1

    def make(self, latents: Floats) -> Floats:
        return np.hstack([np.cos(latents), np.sin(latents), np.zeros((len(latents), 2))])


def test_a_generator_of_the_users_is_searched_and_cannot_be_climbed() -> None:
    ring: RowGenerator = Ring()
    assert not isinstance(ring, DifferentiableGenerator)
    axes = PrincipalAxesPrior.of(np.random.default_rng(0).normal(size=(9, 4)), 3)
    assert isinstance(axes, DifferentiableGenerator)
    victim = linear_victim(3, 4, [0, 1], scale=4.0)
    made = reconstruct_rows(SCORES, victim, ring, EFFORT, np.random.default_rng(0))
    assert np.allclose((made**2).sum(axis=1), 1)
    assert victim.decide(victim.score(made)).tolist() == [0, 1]
    with pytest.raises(TypeError, match="pulls them back"):
        reconstruct_rows(GRADIENT, victim, ring, EFFORT, np.random.default_rng(0))


FEATURES = (
    InputFeature("age", FeatureKind.INTEGER, 0, 90),
    InputFeature("code", FeatureKind.CATEGORICAL, 0, 9, categories=(0.0, 4.0, 9.0)),
    InputFeature("a", FeatureKind.BINARY, 0, 1, one_hot="pick"),
    InputFeature("b", FeatureKind.BINARY, 0, 1, one_hot="pick"),
    InputFeature("x", low=-1, high=1),
)


@given(st.integers(0, 1000))
def test_what_is_settled_is_a_row_that_the_schema_allows(seed: int) -> None:
    low, high = np.array([0.0, 0, 0, 0, -1]), np.array([90.0, 9, 1, 1, 1])
    space = InputSpace(low, high, np.array([0, 0, 0, 0, 0.25]), np.ones(5, bool), FEATURES)
    ground = ReconstructionSpace.of(space, np.zeros((3, 5)))
    rows = ground.settle(np.random.default_rng(seed).normal(size=(8, 5)) * 40)
    assert ((low <= rows) & (rows <= high)).all()
    assert (rows[:, 0] == np.rint(rows[:, 0])).all()
    assert set(np.unique(rows[:, 1])) <= {0.0, 4.0, 9.0}
    assert (rows[:, 2] + rows[:, 3] == 1).all()
    assert (rows[:, 4] * 4 == np.rint(rows[:, 4] * 4)).all()
    assert (ground.settle(rows) == rows).all()
