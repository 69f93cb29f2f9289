"""Stand-in models: what they learn, and that they are nobody's business but their own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.attacks.privacy.shadow_training import (
    InputScaling,
    ShadowTrainingSettings,
    softmax,
    train_stack,
)
from auditor.errors import CancelledError

NETWORK = ShadowTrainingSettings(hidden=(16,), epochs=40, batch=16, rate=0.01)


def rings(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A class inside a ring of another one, which no plane parts."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, 2))
    return inputs * 50 + 1000, (np.linalg.norm(inputs, axis=1) > 1.1).astype(np.int64)


def planes(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, 3))
    return inputs, (inputs @ np.array([[1, -1, 0], [0, 1, 1], [-1, 0, -1]])).argmax(axis=1)


def halves(models: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(rows) < rows // 2 for _ in range(models)])


def test_a_logistic_regression_finds_planes_whatever_the_scale_of_the_inputs() -> None:
    inputs, labels = planes(400)
    include = halves(3, 400)
    stack = train_stack(inputs * [1, 1e4, 1e-3] + [0, 5e5, 0], labels, 3, include)
    said = stack.probabilities(inputs * [1, 1e4, 1e-3] + [0, 5e5, 0])
    assert said.shape == (3, 400, 3)
    assert np.allclose(said.sum(axis=2), 1, atol=1e-5)
    right = said.argmax(axis=2) == labels
    assert (right & ~include).sum() / (~include).sum() > 0.95


def test_only_a_hidden_layer_tells_the_inside_of_a_ring() -> None:
    inputs, labels = rings(400)
    include = halves(2, 400)
    plain = train_stack(inputs, labels, 2, include)
    deep = train_stack(inputs, labels, 2, include, NETWORK)
    flat, round_ = ((it.probabilities(inputs).argmax(2) == labels).mean() for it in (plain, deep))
    assert flat < 0.75
    assert round_ > 0.93


def test_a_model_is_the_same_whoever_is_trained_beside_it() -> None:
    inputs, labels = rings(120)
    include = halves(5, 120)
    alone = train_stack(inputs, labels, 2, include[:1], NETWORK, seed=3)
    beside = train_stack(inputs, labels, 2, include, NETWORK, seed=3)
    np.testing.assert_allclose(alone.logits(inputs)[0], beside.logits(inputs)[0], rtol=1e-4)
    assert np.abs(beside.logits(inputs)[0] - beside.logits(inputs)[1]).max() > 0.1


def test_a_row_that_is_left_out_changes_nothing() -> None:
    inputs, labels = planes(90)
    include = np.ones((1, 90), dtype=bool)
    include[0, :30] = False
    other = labels.copy()
    other[:30] = (other[:30] + 1) % 3
    one, two = (train_stack(inputs, it, 3, include, NETWORK, seed=5) for it in (labels, other))
    assert np.array_equal(one.logits(inputs), two.logits(inputs))
    other[40] = (other[40] + 1) % 3
    moved = train_stack(inputs, other, 3, include, NETWORK, seed=5)
    assert not np.array_equal(one.logits(inputs), moved.logits(inputs))


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    inputs, labels = rings(80)
    include = halves(3, 80)
    first, again, other = (
        train_stack(inputs, labels, 2, include, NETWORK, seed=seed).logits(inputs)
        for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_soft_targets_are_learnt_as_they_are() -> None:
    inputs, _ = planes(300)
    soft = np.tile([0.5, 0.3, 0.2], (300, 1))
    include = np.ones((1, 300), dtype=bool)
    calm = ShadowTrainingSettings(updates=300, batch=100, rate=0.02)
    said = train_stack(inputs, soft, 3, include, calm).probabilities(inputs)[0]
    assert np.abs(said - soft).max() < 0.05


def test_labels_and_their_unit_vectors_teach_the_same() -> None:
    inputs, labels = planes(90)
    include = halves(2, 90)
    hard, soft = (
        train_stack(inputs, it, 3, include, NETWORK).logits(inputs)
        for it in (labels, np.eye(3)[labels])
    )
    np.testing.assert_allclose(hard, soft, rtol=1e-4, atol=1e-5)


def test_chances_are_the_probabilities_of_the_labels() -> None:
    inputs, labels = planes(50)
    stack = train_stack(inputs, labels, 3, halves(4, 50))
    said = stack.probabilities(inputs)
    np.testing.assert_allclose(
        stack.chances(inputs, labels), said[:, np.arange(50), labels], rtol=1e-5
    )


def test_constant_and_missing_numbers_are_borne() -> None:
    inputs, labels = planes(60)
    inputs = np.column_stack([inputs, np.full(60, 7.0)])
    inputs[::7, 1] = np.nan
    said = train_stack(inputs, labels, 3, halves(2, 60)).probabilities(inputs)
    assert np.isfinite(said).all()
    assert InputScaling.of(inputs).width[3] == 1


def test_training_tells_how_far_it_is_and_can_be_stopped() -> None:
    inputs, labels = planes(60)
    told: list[tuple[int, int]] = []

    def stopping(done: int, total: int, note: str = "") -> None:
        told.append((done, total))
        if done == 3:
            raise CancelledError("enough", cure="none")

    with pytest.raises(CancelledError):
        train_stack(inputs, labels, 3, halves(2, 60), progress=stopping)
    assert told == [(at, 600) for at in range(4)]


@pytest.mark.parametrize(
    ("labels", "include"),
    [
        (np.zeros(4, dtype=int), np.ones((2, 5), dtype=bool)),
        (np.zeros(5, dtype=int), np.ones(5, dtype=bool)),
        (np.zeros((5, 2)), np.ones((2, 5), dtype=bool)),
        (np.zeros(5, dtype=int), np.zeros((2, 5), dtype=bool)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(labels: np.ndarray, include: np.ndarray) -> None:
    with pytest.raises(ValueError, match="rows"):
        train_stack(np.zeros((5, 2)), labels, 3, include)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"updates": 0}, {"batch": 0}, {"hidden": (0,)}, {"rate": 0.0}]
)
def test_settings_without_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="stand-in"):
        ShadowTrainingSettings(**wrong)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-80, 80, width=32), min_size=2, max_size=6), st.floats(-50, 50))
def test_a_softmax_does_not_mind_what_is_added_to_all(row: list[float], shift: float) -> None:
    logits = np.array(row, dtype=np.float32)
    moved = softmax(logits + np.float32(shift))
    np.testing.assert_allclose(softmax(logits), moved, atol=2e-3)
    assert abs(float(moved.sum()) - 1) < 1e-5
