"""Ways of altering answers: what each leaves as it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.privacy.output_perturbation import (
    NONE,
    WAYS,
    OutputPerturbation,
    PerturbedAnswers,
)

STRENGTHS = {
    NONE: 0.0,
    "rounding": 1.0,
    "top": 2.0,
    "labels": 0.0,
    "noise": 0.7,
    "temperature": 2.0,
}
EVERY = [OutputPerturbation(name, STRENGTHS[name]) for name in WAYS]


def answers(rows: int = 50, classes: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


@pytest.mark.parametrize("way", EVERY, ids=lambda it: it.name)
@given(st.integers(0, 1000))
def test_altered_answers_are_probabilities(way: OutputPerturbation, seed: int) -> None:
    altered = way(answers(seed=seed), seed)
    assert (altered >= 0).all()
    np.testing.assert_allclose(altered.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", [NONE, "top", "labels", "temperature"])
@given(st.integers(0, 1000))
def test_the_decision_stays(name: str, seed: int) -> None:
    plain = answers(seed=seed)
    altered = OutputPerturbation(name, STRENGTHS[name])(plain, 0)
    assert (altered.argmax(axis=1) == plain.argmax(axis=1)).all()


def test_each_way_does_what_it_says() -> None:
    plain = np.array([[0.62, 0.26, 0.08, 0.04]])
    assert OutputPerturbation("rounding", 1.0)(plain, 0)[0] == pytest.approx([0.6, 0.3, 0.1, 0.0])
    assert OutputPerturbation("top", 2.0)(plain, 0)[0] == pytest.approx([0.62, 0.26, 0.06, 0.06])
    assert OutputPerturbation("labels", 0.0)(plain, 0)[0] == pytest.approx([1, 0, 0, 0])
    roots = np.sqrt(plain[0])
    assert OutputPerturbation("temperature", 2.0)(plain, 0)[0] == pytest.approx(roots / roots.sum())
    assert OutputPerturbation("top", 9.0)(plain, 0)[0] == pytest.approx(plain[0])


def test_answers_rounded_away_say_nothing() -> None:
    even = np.full((1, 30), 1 / 30)
    assert OutputPerturbation("rounding", 1.0)(even, 0)[0] == pytest.approx(even[0])


def test_noise_is_that_of_its_seed() -> None:
    way = OutputPerturbation("noise", 0.5)
    assert np.array_equal(way(answers(), 1), way(answers(), 1))
    assert not np.array_equal(way(answers(), 1), way(answers(), 2))


def test_what_answers_come_to_is_known_by_hand() -> None:
    found = PerturbedAnswers.of(
        np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]]), np.array([0, 0]), np.array([0, 1])
    )
    assert found.chance == pytest.approx([0.7, 0.4])
    assert found.stated == pytest.approx([0.7, 0.5])
    assert found.right.tolist() == [True, False]
    assert found.brier == pytest.approx([0.09 + 0.04 + 0.01, 0.25 + 0.36 + 0.01])
