import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.losses import (
    LOSSES,
    LossAim,
    cross_entropy,
    logit_ratio,
    probability_margin,
    score_lead,
    softmax,
    untargeted_aim,
)


def random_case(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=2, size=(5, classes)), rng.integers(0, classes, 5)


def away(*labels: int, classes: int) -> LossAim:
    return untargeted_aim(np.array(labels), classes)


def any_aim(seed: int, classes: int) -> LossAim:
    """Raise and lower random classes, no class both, at least one of each."""
    rng = np.random.default_rng(seed)
    order = rng.random((5, classes)).argsort(axis=1)
    cut = rng.integers(1, classes, (5, 1))
    return LossAim(
        order < cut, (order >= cut) & ((order == classes - 1) | (rng.random(order.shape) < 0.5))
    )


@pytest.mark.parametrize("name", list(LOSSES))
@given(seed=st.integers(0, 10_000), classes=st.integers(3, 6))
def test_gradients_are_those_of_central_differences(name: str, seed: int, classes: int) -> None:
    logits, _ = random_case(seed, classes)
    labels = any_aim(seed, classes)
    loss, step = LOSSES[name], 1e-6
    _, gradient = loss(logits, labels)
    for column in range(classes):
        shift = np.zeros_like(logits)
        shift[:, column] = step
        rise = (loss(logits + shift, labels)[0] - loss(logits - shift, labels)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[:, column], rise, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50))
def test_a_constant_added_to_all_logits_changes_no_loss(name: str, seed: int, shift: float) -> None:
    logits, _ = random_case(seed, 4)
    labels = any_aim(seed, 4)
    np.testing.assert_allclose(
        LOSSES[name](logits, labels)[0], LOSSES[name](logits + shift, labels)[0], atol=1e-9
    )


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_the_logits_ratio_does_not_depend_on_their_scale(seed: int, scale: float) -> None:
    logits, _ = random_case(seed, 4)
    aim = any_aim(seed, 4)
    np.testing.assert_allclose(
        logit_ratio(logits, aim)[0], logit_ratio(scale * logits, aim)[0], rtol=1e-9
    )


@given(seed=st.integers(0, 10_000))
def test_margins_are_positive_exactly_where_the_row_is_wrong(seed: int) -> None:
    logits, labels = random_case(seed, 4)
    wrong = logits.argmax(axis=1) != labels
    aim = untargeted_aim(labels, 4)
    for value in (
        probability_margin(logits, aim)[0],
        logit_ratio(logits, aim)[0],
        score_lead(logits, aim),
    ):
        np.testing.assert_array_equal(value > 0, wrong)


@given(seed=st.integers(0, 10_000))
def test_the_cross_entropy_is_the_softplus_of_its_loss(seed: int) -> None:
    logits, labels = random_case(seed, 4)
    likelihood = softmax(logits)[np.arange(5), labels]
    value, _ = cross_entropy(logits, untargeted_aim(labels, 4))
    np.testing.assert_allclose(np.log1p(np.exp(value)), -np.log(likelihood))


def test_the_logits_ratio_is_what_the_papers_equation_says() -> None:
    # Croce & Hein 2020, equation 6: -(z_y - max other) / (z_first - z_third).
    value, _ = logit_ratio(np.array([[5.0, 3.0, 1.0, 0.0]]), away(0, classes=4))
    assert value[0] == pytest.approx(-(5 - 3) / (5 - 1))


def test_the_targeted_ratio_is_what_the_papers_equation_says() -> None:
    # Croce & Hein 2020, equation 7: -(z_y - z_t) / (z_first - (z_third + z_fourth) / 2).
    aim = LossAim(np.array([[False, False, True, False]]), np.array([[True, False, False, False]]))
    value, _ = logit_ratio(np.array([[5.0, 3.0, 1.0, 0.0]]), aim)
    assert value[0] == pytest.approx(-(5 - 1) / (5 - (1 + 0) / 2))


def test_a_row_whose_probability_rounds_to_one_keeps_a_gradient() -> None:
    value, gradient = cross_entropy(np.array([[2000.0, 5.0, 3.0]]), away(0, classes=3))
    assert value[0] == pytest.approx(5 + np.log1p(np.exp(-2)) - 2000)
    np.testing.assert_allclose(gradient[0], [-1, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])


def test_the_logits_ratio_is_refused_for_two_classes() -> None:
    with pytest.raises(ValueError, match="three classes"):
        logit_ratio(np.zeros((1, 2)), np.array([0]))


def test_probabilities_of_large_logits_are_finite() -> None:
    np.testing.assert_array_equal(softmax(np.array([[1e4, 0.0]])), [[1.0, 0.0]])
