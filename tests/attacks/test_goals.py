"""What counts as success: every wrong decision, costly ones, those for one class, errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.evidence import read_goal, write_goal
from auditor.attacks.evasion.goals import (
    HarmfulDecisionGoal,
    find_concerned_rows,
    goal_for_task,
    untargeted_goal,
)
from auditor.domain.tasks import ClassificationTask, RegressionTask
from auditor.errors import PolicyError

NAMES = ("deny", "refer", "approve")
COSTS = ((0.0, 1.0, 9.0), (0.0, 0.0, 2.0), (4.0, 0.0, 0.0))


def loans(
    costs: tuple[tuple[float, ...], ...] = (), reject: str | None = None
) -> ClassificationTask:
    return ClassificationTask(NAMES, "approve", "approve", costs=costs, reject=reject)


def harmful(goal: object) -> set[tuple[str, str]]:
    assert isinstance(goal, HarmfulDecisionGoal)
    return {(NAMES[i], NAMES[j]) for i, j in np.argwhere(goal.harmful)}


def certain(*decisions: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.eye(3)[[NAMES.index(name) for name in decisions]]


def test_without_a_word_every_wrong_decision_is_a_success() -> None:
    assert harmful(goal_for_task(loans())) == {(a, b) for a in NAMES for b in NAMES if a != b}
    assert harmful(goal_for_task(loans())) == harmful(untargeted_goal(loans()))


def test_a_decision_that_costs_nothing_is_no_success() -> None:
    assert harmful(goal_for_task(loans(COSTS))) == {
        ("deny", "refer"),
        ("deny", "approve"),
        ("refer", "approve"),
        ("approve", "deny"),
    }


def test_a_rejection_is_no_success_whatever_it_costs() -> None:
    goal = goal_for_task(loans(COSTS, "refer"))
    assert harmful(goal) == {("deny", "approve"), ("refer", "approve"), ("approve", "deny")}
    assert ("deny", "refer") not in harmful(goal_for_task(loans(reject="refer")))


def test_a_row_is_rejected_where_its_decision_is_and_its_label_is_not() -> None:
    goal = untargeted_goal(loans(reject="refer"))
    said = certain("refer", "refer", "deny")
    assert goal.rejected(said, np.array([0, 1, 0])).tolist() == [True, False, False]
    assert not untargeted_goal(loans()).rejected(said, np.array([0, 1, 0])).any()


def test_approve_becomes_deny_is_not_deny_becomes_approve() -> None:
    goal = goal_for_task(loans(), "approve", "deny")
    assert harmful(goal) == {("approve", "deny")}
    assert goal.reached(certain("deny", "approve"), np.array([2, 0])).tolist() == [True, False]


def test_a_goal_for_some_rows_leaves_the_others_out() -> None:
    labels = np.array([0, 1, 2, 2])
    assert find_concerned_rows(goal_for_task(loans(), "approve"), labels).tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert find_concerned_rows(goal_for_task(loans(), "", "approve"), labels).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert find_concerned_rows(goal_for_task(loans(COSTS)), labels).all()


@pytest.mark.parametrize(
    ("label", "decision", "said"),
    [
        ("grant", "", "the class 'grant', which the task does not have"),
        ("", "grant", "the class 'grant', which the task does not have"),
        ("approve", "refer", "'approve' is harmed by the decision 'refer'"),
        ("deny", "deny", "'deny' is harmed by the decision 'deny'"),
    ],
)
def test_a_goal_that_means_nothing_is_refused(label: str, decision: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        goal_for_task(loans(COSTS), label, decision)
    assert said in caught.value.problem


def test_a_regression_has_no_classes_to_ask_about() -> None:
    with pytest.raises(PolicyError, match="a regression has no class 'deny'"):
        goal_for_task(RegressionTask(0.5), decision="deny")


@given(
    st.sampled_from(["", *NAMES]),
    st.sampled_from(["", *NAMES]),
    st.sampled_from([(), COSTS]),
    st.sampled_from([None, *NAMES]),
)
def test_a_goal_is_read_as_it_was_written(
    label: str, decision: str, costs: tuple[tuple[float, ...], ...], reject: str | None
) -> None:
    task = loans(costs, reject)
    try:
        goal = goal_for_task(task, label, decision)
    except PolicyError:
        return
    again = read_goal(write_goal(goal))
    assert isinstance(goal, HarmfulDecisionGoal)
    assert isinstance(again, HarmfulDecisionGoal)
    assert write_goal(again) == write_goal(goal)
    assert (again.task.costs, again.task.reject) == (task.costs, reject)
    said, labels = np.random.default_rng(0).dirichlet(np.ones(3), 50), np.arange(50) % 3
    assert (again.reached(said, labels) == goal.reached(said, labels)).all()
    assert (again.rejected(said, labels) == goal.rejected(said, labels)).all()


def test_a_goal_that_nobody_narrowed_is_written_as_it_always_was() -> None:
    assert set(write_goal(goal_for_task(loans()))) == {
        "classes",
        "positive",
        "threshold",
        "harmful",
    }
