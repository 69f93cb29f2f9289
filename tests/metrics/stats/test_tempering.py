import numpy as np
import pytest
from scipy.special import expit, logit, softmax
from simulated_coverage import allowed

from auditor.domain.tasks import Floats
from auditor.metrics.stats.recalibration import CorrectionSplit, advise_platt, advise_temperature

Labels = np.ndarray[tuple[int], np.dtype[np.int64]]


def halves(rows: int) -> CorrectionSplit:
    return CorrectionSplit(np.arange(rows) % 2 == 0)


def tempered(
    rng: np.random.Generator, rows: int, temperature: float, classes: int = 4
) -> tuple[Floats, Labels]:
    """Probabilities that one temperature would mend, and what came true."""
    odds = rng.normal(size=(rows, classes)) * 2
    true = softmax(odds, axis=1)
    labels = (true.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return softmax(odds * temperature, axis=1), labels


@pytest.mark.parametrize("temperature", [0.6, 1.7, 3.0])
def test_the_temperature_that_was_taken_off_is_found(temperature: float) -> None:
    stated, labels = tempered(np.random.default_rng(1), 20_000, temperature)
    found = advise_temperature(stated, labels, halves(20_000), 0.95)
    assert found.corrects["temperature"] == pytest.approx(temperature, rel=0.05)
    assert found.advised


def test_a_temperature_is_found_by_hand() -> None:
    # Everything states 0.9 and comes true in 3 of 4 rows: the odds 9 become 3 at T = 2.
    labels = np.tile([0, 0, 0, 0, 0, 0, 1, 1], 50)
    stated = np.tile([0.9, 0.1], (400, 1))
    found = advise_temperature(stated, labels, halves(400), 0.95)
    assert found.corrects["temperature"] == pytest.approx(2, abs=1e-4)
    before = -(0.75 * np.log(0.9) + 0.25 * np.log(0.1))
    after = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert found.gain.value == pytest.approx(before - after, abs=1e-6)


def test_platt_scaling_finds_a_line_that_no_temperature_is() -> None:
    rng = np.random.default_rng(2)
    stated = rng.uniform(0.05, 0.95, 8000)
    happened = rng.random(8000) < expit(logit(stated) - 1)
    both = np.stack([1 - stated, stated], axis=1)
    line = advise_platt(stated, happened, halves(8000), 0.95)
    assert line is not None
    assert line.corrects["intercept"] == pytest.approx(-1, abs=0.1)
    assert line.advised
    assert (
        line.gain.value
        > advise_temperature(both, happened.astype(int), halves(8000), 0.95).gain.value
    )


def test_rows_that_are_all_right_have_a_last_temperature_and_no_line() -> None:
    stated = np.tile([0.8, 0.2], (200, 1))
    right = np.zeros(200, dtype=np.int64)
    found = advise_temperature(stated, right, halves(200), 0.95)
    assert found.corrects["temperature"] == pytest.approx(0.01)
    assert advise_platt(stated[:, 1], right == 1, halves(200), 0.95) is None


def test_what_was_learnt_by_heart_is_not_measured() -> None:
    # The rows learnt from say that the model is too bold, the others that it is right.
    stated = np.tile([0.2, 0.8], (400, 1))
    learnt = np.arange(400) < 200
    labels = np.where(learnt, np.arange(400) % 2, (np.arange(400) % 5 > 0).astype(int))
    found = advise_temperature(stated, labels, CorrectionSplit(learnt), 0.95)
    assert found.gain.high < 0
    assert not found.advised


def test_rows_of_one_person_say_less() -> None:
    rng = np.random.default_rng(3)
    stated, labels = tempered(rng, 100, 2.0)
    again = np.repeat(np.arange(100), 20)
    learnt = again % 2 == 0
    many = advise_temperature(stated[again], labels[again], CorrectionSplit(learnt), 0.95).gain
    few = advise_temperature(
        stated[again], labels[again], CorrectionSplit(learnt, again), 0.95
    ).gain
    assert few.value == pytest.approx(many.value)
    assert few.high - few.low > 3 * (many.high - many.low)


def falsely_advised(rows: int, repeats: int) -> float:
    """How often a calibrated binary model is told to change, by temperature or by line."""
    rng, found = np.random.default_rng(rows), 0
    for _ in range(repeats):
        stated = rng.beta(2, 3, rows)
        happened = rng.random(rows) < stated
        both = np.stack([1 - stated, stated], axis=1)
        line = advise_platt(stated, happened, halves(rows), 0.95)
        warm = advise_temperature(both, happened.astype(int), halves(rows), 0.95)
        found += warm.advised or (line is not None and line.advised)
    return found / repeats


def test_a_calibrated_model_is_not_advised_to_change() -> None:
    assert falsely_advised(200, 60) <= 1 - allowed(0.95, 60)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [60, 200, 2000])
def test_a_calibrated_model_is_seldom_advised_to_change_in_many_samples(rows: int) -> None:
    assert falsely_advised(rows, 1000) <= 0.05
