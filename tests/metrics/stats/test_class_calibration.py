import numpy as np
import pytest
from scipy.special import softmax
from simulated_coverage import allowed

from auditor.domain.tasks import Floats
from auditor.metrics.stats.binned_calibration import (
    classwise_calibration_error,
    debiased_calibration_error,
    top_label_calibration_error,
)

Labels = np.ndarray[tuple[int], np.dtype[np.int64]]


def drawn(
    rng: np.random.Generator, rows: int, classes: int, boldness: float
) -> tuple[Floats, Labels]:
    """Probabilities of some classes, and labels drawn from ones that are less bold."""
    odds = rng.normal(size=(rows, classes)) * 2
    true = softmax(odds, axis=1)
    labels = (true.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return softmax(odds * boldness, axis=1), labels


def test_each_class_has_its_own_error_and_the_whole_is_their_root_mean_square() -> None:
    stated, labels = drawn(np.random.default_rng(1), 2000, 3, 2.0)
    whole, each = classwise_calibration_error(stated, labels, 0.95)
    values = [
        debiased_calibration_error(stated[:, at], labels == at, 0.95).value for at in range(3)
    ]
    assert [item.value for item in each] == pytest.approx(values)
    assert whole.value == pytest.approx(np.sqrt(np.mean(np.square(values))))
    assert all(item.low > 0 for item in each)


def test_classes_hold_jointly() -> None:
    stated, labels = drawn(np.random.default_rng(2), 600, 4, 1.5)
    _, each = classwise_calibration_error(stated, labels, 0.95)
    alone = debiased_calibration_error(stated[:, 0], labels == 0, 0.95)
    assert each[0].low <= alone.low <= alone.high <= each[0].high
    assert each[0].high > alone.high


def test_an_answer_too_bold_is_not_made_good_by_one_too_timid() -> None:
    # Both answers state 0.7: one comes true in half of all, the other in nine of ten rows.
    answered = np.repeat([0, 1], 500)
    happened = np.concatenate([np.arange(500) < 250, np.arange(500) < 450])
    stated = np.full(1000, 0.7)
    assert debiased_calibration_error(stated, happened, 0.95).value == 0
    found = top_label_calibration_error(stated, happened, answered, 0.95)
    expected = np.sqrt(0.2**2 - (0.5 * 0.5 + 0.9 * 0.1) / 2 / 499)
    assert found.value == pytest.approx(expected)
    assert found.low > 0.15


def test_rare_answers_share_a_bin() -> None:
    answered = np.concatenate([np.zeros(190, dtype=np.int64), np.arange(1, 11)])
    happened = np.arange(200) % 2 == 0
    found = top_label_calibration_error(np.full(200, 0.5), happened, answered, 0.95)
    assert found.low == 0
    assert found.value == pytest.approx(0, abs=0.02)


def test_a_handful_of_rows_has_neither() -> None:
    stated, labels = drawn(np.random.default_rng(3), 149, 3, 1.0)
    with pytest.raises(ValueError, match="150 rows"):
        classwise_calibration_error(stated, labels, 0.95)
    with pytest.raises(ValueError, match="150 rows"):
        top_label_calibration_error(stated.max(axis=1), labels == 0, labels, 0.95)


def accused(rows: int, repeats: int) -> Floats:
    """How often a calibrated model is said to err over all classes, and within its answers."""
    rng, found = np.random.default_rng(rows), np.zeros(2)
    for _ in range(repeats):
        stated, labels = drawn(rng, rows, 5, 1.0)
        answered = stated.argmax(axis=1)
        top = top_label_calibration_error(stated.max(axis=1), answered == labels, answered, 0.95)
        found += [classwise_calibration_error(stated, labels, 0.95)[0].low > 0, top.low > 0]
    return found / repeats


def test_a_calibrated_model_is_not_accused() -> None:
    assert (accused(300, 60) <= 1 - allowed(0.95, 60)).all()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 2000])
def test_a_calibrated_model_is_seldom_accused_in_many_samples(rows: int) -> None:
    assert (accused(rows, 1000) <= 0.05).all()
