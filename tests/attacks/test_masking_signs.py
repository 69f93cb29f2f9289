"""From how many rows on a sign is one, and what the probes of masking do on models of paper."""

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, arena, box, linear
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_protocol import EvasionAttack
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.attacks.gradient_masking.gradient_survey import GradientSurvey, measure_gradients
from auditor.attacks.gradient_masking.indicators import MOST_MISSED, MOST_UNBROKEN, is_surely_above
from auditor.attacks.gradient_masking.probe import (
    CleanStartAscent,
    FastGradientSign,
    OtherRowsProbe,
    RandomCornersProbe,
)
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats

COLUMNS = 12


def right_rows(seed: int = 0, *, gradient: float = 1.0, rows: int = 40) -> AttackSetup:
    """Return a linear model that gets every row right; its twin's gradient may be scaled away."""
    model, twin, _, _ = linear(seed, COLUMNS)
    inputs = np.random.default_rng(seed).random((rows, COLUMNS))
    labels = model.logits(inputs).argmax(axis=1)
    bent = LinearTwin(gradient * twin.weights, twin.bias)
    return arena(model, inputs, labels, box((COLUMNS,)), bent)


def broken(attack: EvasionAttack, place: AttackSetup, eps: float) -> Floats:
    return run_sweep(AttackSuite((attack,)), place, (eps,), 0, report_nothing).breaking


@pytest.mark.parametrize(
    ("count", "rows", "most", "surely"),
    [
        (0, 100, MOST_MISSED, False),
        (6, 100, MOST_MISSED, False),  # the exact lower limit is 0.0265
        (7, 100, MOST_MISSED, True),  # 0.0333
        (4, 48, MOST_MISSED, False),  # 0.0290
        (5, 48, MOST_MISSED, True),  # 0.0419
        (1, 1, MOST_MISSED, False),  # one lucky row
        (1, 500, 0.0, True),  # where none is allowed, one is enough
        (10, 100, MOST_UNBROKEN, True),  # 0.0553
        (9, 100, MOST_UNBROKEN, False),  # 0.0478
        (0, 0, MOST_MISSED, False),
    ],
)
def test_an_alarm_is_sure_by_the_exact_one_sided_limit(
    count: int, rows: int, most: float, *, surely: bool
) -> None:
    assert is_surely_above(count, rows, most) is surely


@given(st.integers(1, 300), st.data())
def test_more_rows_that_show_a_sign_never_calm(rows: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, rows - 1))
    if is_surely_above(count, rows, MOST_MISSED):
        assert is_surely_above(count + 1, rows, MOST_MISSED)


@given(st.integers(10, 2000))
def test_a_share_as_high_as_allowed_is_rarely_an_alarm(rows: int) -> None:
    assert not is_surely_above(int(MOST_MISSED * rows), rows, MOST_MISSED)


@pytest.mark.parametrize("seed", range(3))
def test_one_step_on_a_linear_model_is_the_best_that_can_be_done(seed: int) -> None:
    place = right_rows(seed)
    twin = place.twin
    assert isinstance(twin, LinearTwin)
    rows = place.rows.astype(np.float64)
    side = np.where(place.labels == 1, 1.0, -1.0)[:, None]
    way = side * (twin.weights[:, 1] - twin.weights[:, 0])
    worst = np.clip(rows - 0.1 * np.sign(way), 0, 1)
    falls = (worst * way).sum(axis=1) + side[:, 0] * (twin.bias[1] - twin.bias[0]) < 0
    assert (np.isfinite(broken(FastGradientSign(), place, 0.1)) == falls).all()


def test_a_climb_from_the_clean_row_goes_nowhere_without_a_gradient() -> None:
    attack = CleanStartAscent(AutoPgd(20))
    assert np.isinf(broken(attack, right_rows(gradient=0.0), 1.0)).all()
    assert np.isfinite(broken(attack, right_rows(), 1.0)).all()


def test_a_copy_of_another_row_breaks_every_row_in_the_whole_range_and_few_in_a_small_one() -> None:
    place = right_rows()
    assert np.isfinite(broken(OtherRowsProbe(2), place, 1.0)).all()
    assert np.isfinite(broken(OtherRowsProbe(2), place, 0.05)).mean() < 0.5


def test_rows_that_are_all_of_one_label_have_nothing_to_copy() -> None:
    place = right_rows()
    one = place.labels == 1
    alike = arena(
        ToyModel(place.model.logits),  # type: ignore[attr-defined]  # a toy
        place.rows[one], place.labels[one], box((COLUMNS,)),
    )  # fmt: skip
    assert np.isinf(broken(OtherRowsProbe(3), alike, 1.0)).all()


def test_random_corners_break_less_than_one_step_and_cost_what_they_say() -> None:
    place = right_rows(rows=80)
    blind, led = (
        np.isfinite(broken(item, place, 0.1))
        for item in (RandomCornersProbe(20), FastGradientSign())
    )
    assert (led | ~blind).all()
    assert blind.sum() < led.sum()
    assert RandomCornersProbe(20).rounds == RandomCornersProbe(20).queries == 20


def seen_of(place: AttackSetup) -> GradientSurvey:
    return measure_gradients(place, 0.004, 0.1, 4, 20, np.random.default_rng(0))


def test_a_linear_twin_points_the_same_way_everywhere_and_is_at_rest_at_once() -> None:
    found = seen_of(right_rows())
    assert found.cosine == pytest.approx(1.0)
    assert found.finite.all()
    assert not found.zero.any()
    assert not found.saturated.any()
    assert (found.rise < 0.05).all()
    assert np.median(found.jitter) < 0.05


def test_a_twin_without_gradient_is_zero_at_every_row_and_steady() -> None:
    found = seen_of(right_rows(gradient=0.0))
    assert found.zero.all()
    assert found.cosine == pytest.approx(1.0)


def test_scores_so_far_apart_that_nothing_is_left_of_the_others_are_saturated() -> None:
    place = right_rows()
    model = place.model
    assert isinstance(model, ToyModel)
    apart = ToyModel(lambda x: 1e4 * model.logits(x))
    hot = arena(apart, place.rows, place.labels, box((COLUMNS,)), place.twin)  # type: ignore[arg-type]  # a toy
    assert seen_of(hot).saturated.mean() > 0.9


class Spinning(LinearTwin):
    """A twin whose gradient is drawn anew each time."""

    def backward(self, cotangent: Floats) -> Floats:
        self.passes += len(cotangent)
        drawn = np.random.default_rng(self.passes).normal(size=(len(cotangent), COLUMNS))
        return drawn.reshape(self.shape)


def test_gradients_that_turn_between_neighbours_are_unstable() -> None:
    place = right_rows()
    twin = place.twin
    assert isinstance(twin, LinearTwin)
    spinning = arena(
        place.model, place.rows, place.labels, box((COLUMNS,)),  # type: ignore[arg-type]  # a toy
        Spinning(twin.weights, twin.bias),
    )  # fmt: skip
    assert (seen_of(spinning).cosine < 0.5).mean() > 0.9


class Lost(LinearTwin):
    """A twin whose gradient is no number."""

    def backward(self, cotangent: Floats) -> Floats:
        return np.full(self.shape, np.nan)


def test_a_gradient_that_is_no_number_is_not_finite_and_does_not_stop_the_look() -> None:
    place = right_rows()
    twin = place.twin
    assert isinstance(twin, LinearTwin)
    lost = arena(
        place.model, place.rows, place.labels, box((COLUMNS,)),  # type: ignore[arg-type]  # a toy
        Lost(twin.weights, twin.bias),
    )  # fmt: skip
    assert not seen_of(lost).finite.any()
