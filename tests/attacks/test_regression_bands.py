"""Attacks on classes at work on a number: both ways, to the nearest error."""

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import RegressionErrorGoal
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.regression import (
    HIGH,
    LOW,
    OneSidedAttack,
    build_regression_suite,
    score_bands,
)
from auditor.attacks.evasion.suite_parser import AttackSuite, build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats, RegressionTask

COLUMNS = 5
TOLERANCE = 0.5
WAY = np.array([[1.0], [-0.5], [0.25], [2.0], [0.0]])


class NumberModel(ToyModel):
    """A target whose scores are the numbers themselves."""

    def probabilities(self, scores: Floats) -> Floats:
        return scores


def arena(norm: Norm, seed: int = 0, rows: int = 60) -> AttackSetup:
    """Rows whose truth is what the linear model says, give or take the tolerance."""
    rng = np.random.default_rng(seed)
    drawn = 0.3 + 0.4 * rng.random((rows, COLUMNS))
    model = NumberModel(lambda x: x @ WAY)
    truth = (drawn @ WAY)[:, 0] + rng.uniform(-1.1, 1.1, rows) * TOLERANCE
    return AttackSetup(
        model=model,
        twin=LinearTwin(WAY, np.zeros(1)),
        goal=RegressionErrorGoal(RegressionTask(TOLERANCE)),
        space=box((COLUMNS,)),
        rows=drawn,
        labels=truth,  # type: ignore[arg-type]  # numbers where others have classes
        probabilities=model.predict(drawn),
        norm=norm,
    )


def nearest(found: AttackSetup, norm: Norm) -> Floats:
    """Return how far the nearest error of a linear model is, to either side: no box is in reach."""
    away = (found.rows @ WAY)[:, 0] - found.labels
    least = TOLERANCE - np.abs(away)
    if norm is Norm.L0:
        room = np.where(WAY[:, 0] > 0, 1 - found.rows, found.rows) * np.abs(WAY[:, 0])
        other = np.where(WAY[:, 0] > 0, found.rows, 1 - found.rows) * np.abs(WAY[:, 0])
        sides = [
            (np.cumsum(-np.sort(-gain, axis=1), axis=1) < missing[:, None]).sum(axis=1) + 1.0
            for gain, missing in ((room, TOLERANCE - away), (other, TOLERANCE + away))
        ]
        return np.where(least < 0, 0.0, np.minimum(*sides))
    dual = {Norm.LINF: np.abs(WAY).sum(), Norm.L2: np.linalg.norm(WAY), Norm.L1: np.abs(WAY).max()}
    return np.maximum(least, 0.0) / dual[norm]


def attack(found: AttackSetup, stages: tuple[str, ...], budgets: tuple[float, ...]) -> SweepResult:
    return run_sweep(
        build_regression_suite(build_suite(stages, found.norm)), found, budgets, 3, report_nothing
    )


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 3))
def test_the_largest_band_says_to_which_side_an_error_is(
    value: float, truth: float, tolerance: float
) -> None:
    (scores,) = score_bands(np.array([[value]]), np.array([truth]), tolerance)
    error = RegressionErrorGoal(RegressionTask(tolerance))
    wrong = bool(error.reached(np.array([[value]]), np.array([truth]))[0])  # type: ignore[arg-type]
    if abs(abs(value - truth) - tolerance) > 1e-9:
        assert wrong == (scores.argmax() != 1)
        assert (scores.argmax() == HIGH) == (value - truth > tolerance)
        assert (scores.argmax() == LOW) == (truth - value > tolerance)


@pytest.mark.parametrize(
    ("norm", "stages", "budgets"),
    [
        (Norm.LINF, ("cross_entropy:20",), (0.02, 0.05, 0.1)),
        (Norm.LINF, ("margin:20", "targeted:10x3"), (0.02, 0.05, 0.1)),
        (Norm.L2, ("fmn:60", "cross_entropy:20"), (0.05, 0.1, 0.2)),
        (Norm.L1, ("fmn:60", "cross_entropy:20"), (0.05, 0.1, 0.2)),
        (Norm.L0, ("fmn:100",), (1.0, 2.0, 3.0)),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_linear_regression_breaks_as_far_out_as_its_closed_form_says(
    norm: Norm, stages: tuple[str, ...], budgets: tuple[float, ...], seed: int
) -> None:
    found = arena(norm, seed)
    exact = nearest(found, norm)
    swept = attack(found, stages, budgets)
    for eps in budgets:
        robust = np.mean(exact > eps + 1e-6)
        assert robust - 1e-9 <= np.mean(swept.breaking > eps + 1e-6) <= robust + 0.04


def test_the_nearest_error_is_found_though_the_other_side_breaks_as_well() -> None:
    # Upwards needs 0.9 and downwards 0.1 of the tolerance, and the widest ball holds both.
    found = arena(Norm.L2)
    away = np.full(len(found.rows), -0.9 * TOLERANCE)
    truth = (found.rows @ WAY)[:, 0] - away
    moved = AttackSetup(
        model=found.model,
        twin=found.twin,
        goal=found.goal,
        space=found.space,
        rows=found.rows,
        labels=truth,  # type: ignore[arg-type]  # numbers where others have classes
        probabilities=found.probabilities,
        norm=Norm.L2,
    )
    swept = attack(moved, ("fmn:80",), (1.0,))
    exact = 0.1 * TOLERANCE / np.linalg.norm(WAY)
    # A walk that comes to stand on the line itself finds nothing on that side.
    assert np.quantile(swept.breaking, 0.25) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("band", "sign"), [(HIGH, 1), (LOW, -1)])
def test_an_attack_to_one_side_breaks_to_that_side(band: int, sign: int) -> None:
    found = arena(Norm.LINF)
    swept = run_sweep(
        AttackSuite((OneSidedAttack(AutoPgd(10), band),)), found, (0.1,), 3, report_nothing
    )
    broken = np.isfinite(swept.breaking) & (swept.breaking > 0)
    assert broken.sum() > 10
    error = swept.probabilities[broken, 0] - found.labels[broken]
    # Random starts break some to the other side, and an error is an error.
    assert np.mean(sign * error > TOLERANCE) > 0.75


def test_a_way_is_tried_once_whatever_its_rank() -> None:
    names = build_regression_suite(
        build_suite(("cross_entropy:20", "targeted:50x3"), Norm.LINF)
    ).names
    assert names == [
        "apgd cross_entropy, 20 steps, upwards",
        "apgd cross_entropy, 20 steps, downwards",
        "apgd difference, 50 steps, upwards",
        "apgd difference, 50 steps, downwards",
    ]


def test_what_it_costs_is_told_for_both_ways() -> None:
    one = build_suite(("fmn:50", "cross_entropy:20"), Norm.L2)
    two = build_regression_suite(one)
    for count in (one.ticks, one.passes, one.queries):
        assert getattr(two, count.__name__)(3) == 2 * count(3)


def test_a_search_on_the_target_is_left_as_it_is() -> None:
    found = build_suite(("square:50x2",), Norm.LINF)
    assert build_regression_suite(found) == found
