import numpy as np
import pytest
from evasion_toys import box

from auditor.attacks.poisoning.input_screen import FACTORS, TriggerScreen
from auditor.domain.tasks import Array, Floats
from auditor.errors import CancelledError

SPACE = box((2, 2))


def screen(ask: object, told: list[int] | None = None) -> TriggerScreen:
    def decide(scores: Floats) -> np.ndarray:
        return scores.argmax(axis=1)

    def say(rows: int) -> None:
        if told is not None:
            told.append(rows)

    return TriggerScreen(ask, decide, SPACE, say)


def by_sum(rows: Array) -> Floats:
    """Class 1 where the pixels sum to 2 or more."""
    bright = rows.reshape(len(rows), -1).sum(axis=1) >= 2
    return np.eye(2)[bright.astype(int)]


def test_scaling_counts_the_factors_that_leave_the_decision_as_it_is() -> None:
    # Four pixels of 0.1 sum to 0.4 f: below 2 up to a factor of 4, so 2, 3 and 4 of ten agree.
    dark, black, bright = (np.full((1, 2, 2), value) for value in (0.1, 0.0, 0.9))
    found = screen(by_sum).scale_up(np.concatenate((dark, black, bright)))
    assert found == pytest.approx([3 / len(FACTORS), 1, 1])


def test_strip_is_minus_the_mean_entropy_of_the_copies() -> None:
    def unsure(rows: Array) -> Floats:
        bright = rows.reshape(len(rows), -1).sum(axis=1) >= 2
        return np.where(bright[:, None], [[0.5, 0.5]], [[1.0, 0.0]])

    overlays = np.stack([np.zeros((2, 2)), np.ones((2, 2))])
    found = screen(unsure).strip(np.full((1, 2, 2), 0.1), overlays)
    assert found == pytest.approx([-np.log(2) / 2], abs=1e-6)


def test_every_row_is_told_of_once_by_each_method() -> None:
    told: list[int] = []
    rows = np.random.default_rng(0).random((1000, 2, 2))
    it = screen(by_sum, told)
    it.scale_up(rows)
    it.strip(rows, rows[:7])
    assert sum(told) == 2000


@pytest.mark.parametrize("method", ["scale_up", "strip"])
def test_whoever_cancels_half_way_has_asked_half_of_it(method: str) -> None:
    rows = np.random.default_rng(0).random((4096, 2, 2))
    asked, told = [0], list[int]()

    def ask(copies: Array) -> Floats:
        asked[0] += len(copies)
        return by_sum(copies)

    def say(count: int) -> None:
        told.append(count)
        if sum(told) >= len(rows) // 2:
            raise CancelledError("stopped", cure="Start again.")

    it = TriggerScreen(ask, lambda scores: scores.argmax(axis=1), SPACE, say)
    with pytest.raises(CancelledError):
        it.scale_up(rows) if method == "scale_up" else it.strip(rows, rows[:10])
    whole = len(rows) * (1 + len(FACTORS) if method == "scale_up" else 10)
    first = len(rows) if method == "scale_up" else 0
    assert asked[0] == first + 10 * sum(told)
    assert 0.4 * whole < asked[0] < 0.7 * whole


def test_parts_do_not_change_the_scores() -> None:
    rows = np.random.default_rng(1).random((900, 2, 2))
    whole = screen(by_sum).strip(rows, rows[:9])
    parts = np.concatenate(
        [screen(by_sum).strip(rows[at : at + 100], rows[:9]) for at in range(0, 900, 100)]
    )
    assert np.allclose(whole, parts)
