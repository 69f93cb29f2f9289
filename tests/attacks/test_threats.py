from dataclasses import dataclass

import numpy as np
import pytest
from evasion_toys import box
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.evasion.perturbation_ball import SLACK
from auditor.attacks.evasion.threat_model import ThreatModel, linf_threat
from auditor.domain.tasks import FeatureKind, InputFeature, InputSpace


@dataclass(frozen=True)
class Drawn:
    """A threat, clean rows, and where an attack would like to go."""

    threat: ThreatModel
    clean: NDArray[np.generic]
    wishes: NDArray[np.float64]
    space: InputSpace


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["float32", "float64", "uint8", "int64"]))
    low = rng.choice([0.0, -5.0, 1900.0], columns) * (kind != "uint8")
    width = rng.choice([0.0, 1.0, 8.0, 200.0], columns)
    steps = np.where(width > 0, rng.choice([0.0, 1 / 255, 0.25, 1.0], columns), 0.0)
    space = InputSpace(low, low + width, steps, rng.random(columns) < 0.8)
    places = rng.random((4, columns))
    clean = low + width * places
    clean = np.where(
        steps > 0, low + np.rint((clean - low) / np.where(steps, steps, 1)) * steps, clean
    )
    clean = np.minimum(clean, low + width)
    whole = kind in {"uint8", "int64"}
    clean = (np.floor(clean) if whole else clean).astype(kind)
    threat = linf_threat(space, draw(st.floats(0.001, 1.0)), (columns,), whole=whole)
    wishes = low + width * rng.normal(0.5, 2.0, (4, columns))
    return Drawn(threat, clean, wishes, space)


@given(drawn())
def test_settled_points_keep_ball_box_step_and_type(case: Drawn) -> None:
    settled = case.threat.around(case.clean).settle(case.wishes)
    assert settled.dtype == case.clean.dtype
    exact, clean = settled.astype(np.float64), case.clean.astype(np.float64)
    slack = SLACK * np.maximum(case.threat.width, case.threat.quantum)
    assert (np.abs(exact - clean) <= case.threat.radius + slack).all()
    assert (exact >= np.minimum(case.space.low, clean) - slack).all()
    assert (exact <= np.maximum(case.space.high, clean) + slack).all()
    assert case.threat.permits(case.clean, settled).all()


@given(drawn())
def test_immutable_coordinates_never_move(case: Drawn) -> None:
    settled = case.threat.around(case.clean).settle(case.wishes)
    still = ~case.space.mutable
    np.testing.assert_array_equal(settled[:, still], case.clean[:, still])


@given(drawn())
def test_settling_twice_changes_nothing(case: Drawn) -> None:
    ball = case.threat.around(case.clean)
    once = ball.settle(case.wishes)
    np.testing.assert_array_equal(ball.settle(once.astype(np.float64)), once)


@given(drawn())
def test_the_clean_row_is_always_permitted(case: Drawn) -> None:
    assert case.threat.permits(case.clean, case.clean).all()
    assert not case.threat.distance(case.clean, case.clean).any()


@given(drawn())
def test_moved_coordinates_stand_on_a_step(case: Drawn) -> None:
    settled = case.threat.around(case.clean).settle(case.wishes).astype(np.float64)
    moved = (settled != case.clean) & (case.threat.quantum > 0)
    step = np.where(case.threat.quantum > 0, case.threat.quantum, 1)
    off = settled - case.threat.low - np.rint((settled - case.threat.low) / step) * step
    resolution = np.spacing(np.abs(settled).astype(np.float32))
    assert (np.abs(off) <= 1e-3 * step + resolution)[moved].all()


def test_a_budget_of_8_of_255_reaches_8_steps_and_not_7() -> None:
    threat = linf_threat(box((3,), quantum=1 / 255), 8 / 255, (3,))
    clean = (np.array([[10, 100, 250]]) / 255).astype(np.float32)
    settled = threat.around(clean).settle(np.ones((1, 3)))
    np.testing.assert_array_equal(np.rint(settled * 255), [[18, 108, 255]])


@pytest.mark.parametrize(
    ("crafted", "why"),
    [
        ([0.5, 0.71, 0.5], "beyond the ball"),
        ([0.5, 0.5, 0.6], "an immutable coordinate"),
        ([1.05, 0.5, 0.5], "beyond the box"),
        ([0.5, np.nan, 0.5], "not a number"),
    ],
)
def test_what_leaves_the_threat_is_not_permitted(crafted: list[float], why: str) -> None:
    mutable = np.array([True, True, False])
    threat = linf_threat(box((3,), mutable=mutable), 0.2, (3,))
    clean = np.array([[0.9 if why == "beyond the box" else 0.5, 0.5, 0.5]])
    assert threat.permits(clean, np.array([[clean[0, 0], 0.7, 0.5]]))[0], why
    assert not threat.permits(clean, np.array([crafted]))[0], why


def test_a_point_between_the_steps_is_not_permitted() -> None:
    threat = linf_threat(box((1,), high=10.0, quantum=1.0), 0.5, (1,))
    clean = np.array([[5.0]])
    assert threat.permits(clean, np.array([[7.0]]))[0]
    assert not threat.permits(clean, np.array([[7.5]]))[0]


def test_a_missing_value_stays_missing() -> None:
    threat = linf_threat(box((2,)), 0.2, (2,))
    clean = np.array([[np.nan, 0.5]], dtype=np.float32)
    settled = threat.around(clean).settle(np.array([[0.3, 0.9]]))
    assert np.isnan(settled[0, 0])
    assert settled[0, 1] == pytest.approx(0.7)
    assert threat.permits(clean, settled)[0]


def test_codes_immutable_features_and_endless_ranges_do_not_move() -> None:
    features = (
        InputFeature("income"),
        InputFeature("dependants", FeatureKind.INTEGER),
        InputFeature("married", FeatureKind.BINARY),
        InputFeature("region", FeatureKind.CATEGORICAL),
        InputFeature("age", immutable=True),
        InputFeature("debt"),
    )
    high = np.array([100.0, 10.0, 1.0, 3.0, 90.0, np.inf])
    space = InputSpace(np.zeros(6), high, np.zeros(6), np.ones(6, dtype=np.bool_), features)
    threat = linf_threat(space, 0.25, (6,))
    np.testing.assert_array_equal(threat.radius, [25.0, 2.5, 0, 0, 0, 0])
    clean = np.array([[50.0, 5.0, 0.0, 1.0, 40.0, 7.0]])
    settled = threat.around(clean).settle(clean + 100)
    np.testing.assert_array_equal(settled, [[75.0, 7.0, 0.0, 1.0, 40.0, 7.0]])


def test_a_radius_below_one_step_moves_nothing() -> None:
    threat = linf_threat(box((2,), high=4.0, quantum=1.0), 0.2, (2,))
    assert not threat.movable.any()
    clean = np.array([[2.0, 3.0]])
    np.testing.assert_array_equal(threat.around(clean).settle(clean + 9), clean)


def test_a_clean_value_outside_the_box_may_only_come_back() -> None:
    threat = linf_threat(box((1,)), 0.2, (1,))
    ball = threat.around(np.array([[1.1]]))
    assert ball.settle(np.array([[5.0]]))[0, 0] == 1.1
    assert ball.settle(np.array([[0.0]]))[0, 0] == pytest.approx(0.9)


def test_distance_is_a_share_of_each_range() -> None:
    space = InputSpace(np.zeros(2), np.array([1.0, 100.0]), np.zeros(2), np.ones(2, dtype=np.bool_))
    threat = linf_threat(space, 0.5, (2,))
    found = threat.distance(np.array([[0.5, 50.0]]), np.array([[0.6, 75.0]]))
    assert found[0] == pytest.approx(0.25)


@given(drawn(), st.permutations(range(4)), st.integers(1, 4))
def test_a_part_of_a_part_settles_as_the_whole_does(
    case: Drawn, order: list[int], left: int
) -> None:
    ball, first = case.threat.around(case.clean), np.array(order)
    keep = np.arange(4) < left
    part = ball.take(first).take(keep)
    rows = first[keep]
    np.testing.assert_array_equal(part.clean, case.clean[rows])
    np.testing.assert_array_equal(part.settle(case.wishes[rows]), ball.settle(case.wishes)[rows])
