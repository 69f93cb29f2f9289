"""Attack goals: which decisions of the target count as success for a row of some label."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.losses import Labels, LossAim, score_lead, softmax
from auditor.domain.tasks import ClassificationTask, Floats, RegressionTask, Task
from auditor.errors import PolicyError

Mask = NDArray[np.bool_]
TWO = 2


class AttackGoal(Protocol):
    """Decides success from what the target says; the same rule before and after an attack."""

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the target's answer is harmful."""
        ...

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return how far each row's scores are beyond the line: positive where harmful."""
        ...

    def aim(self, labels: Labels) -> LossAim:
        """Return which classes an attack should raise and lower, row by row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HarmfulDecisionGoal:
    """Success is a decision that ``harmful[label, decision]`` names: ``[classes, classes]``.

    A rejection class is a column that is harmless whatever the label is. ``label`` and ``decision``
    say that only rows of one class, or decisions for one, were asked about (empty: any).
    """

    task: ClassificationTask
    harmful: Mask
    label: str = ""
    decision: str = ""

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the decision is harmful."""
        found: Mask = self.harmful[labels, self.task.decide(probabilities)]
        return found

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return the best harmful score minus the best harmless one."""
        return score_lead(scores, self.aim(labels))

    def aim(self, labels: Labels) -> LossAim:
        """Return harmful classes to raise, harmless ones to lower."""
        toward = self.harmful[labels]
        return LossAim(toward, ~toward)

    def rejected(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether it is rejected: the decision is no harm, and not right."""
        if self.task.reject is None:
            return np.zeros(len(labels), dtype=np.bool_)
        place = self.task.classes.index(self.task.reject)
        found = (self.task.decide(probabilities) == place) & (labels != place)
        return np.asarray(found, dtype=np.bool_)


Claim = Callable[[Floats], Mask]
"""From a twin's logits to which rows it calls broken."""


def build_broken_test(goal: AttackGoal, labels: Labels) -> Claim:
    """Return what tells of logits, up to a constant a row, which rows of these labels are broken.

    It is ``goal.reached`` of their softmax, with everything looked up that depends on labels alone.
    """
    if not isinstance(goal, HarmfulDecisionGoal):
        return lambda logits: goal.reached(
            logits if logits.shape[1] == 1 else softmax(logits), labels
        )
    toward = goal.harmful[labels]
    if goal.task.binary and toward.shape[1] == TWO:
        place, least = goal.task.positive_index, goal.task.threshold
        if_so, if_not = toward[:, place].copy(), toward[:, 1 - place].copy()
        return lambda logits: np.where(_logistic(logits, place) >= least, if_so, if_not)
    flat, first = toward.reshape(-1), np.arange(len(toward)) * toward.shape[1]
    # Of three classes and more the highest score wins, whatever the softmax is.
    return lambda logits: flat.take(logits.argmax(axis=1) + first)


def _logistic(logits: Floats, place: int) -> Floats:
    """Return the softmax of one of two classes."""
    behind = logits[:, 1 - place] - logits[:, place]
    with np.errstate(over="ignore"):  # one over infinity is the 0 that it should be
        np.exp(behind, out=behind)
    behind += 1.0
    return np.asarray(np.reciprocal(behind, out=behind))


def untargeted_goal(task: ClassificationTask) -> HarmfulDecisionGoal:
    """Return the untargeted goal: every decision but the label and a rejection is harmful."""
    harmful = ~np.eye(len(task.classes), dtype=np.bool_)
    if task.reject is not None:
        harmful[:, task.classes.index(task.reject)] = False
    return HarmfulDecisionGoal(task, harmful)


def goal_for_task(task: Task, label: str = "", decision: str = "") -> AttackGoal:
    """Return what a task counts as success: the decisions that cost something, else all wrong ones.

    ``label`` and ``decision`` leave only rows of one class, and decisions for one (empty: any).
    Raises ``PolicyError`` for what is no class of the task, or where nothing harmful is left.
    """
    if isinstance(task, RegressionTask):
        if label or decision:
            raise PolicyError(
                f"a regression has no class {label or decision!r}",
                cure="Leave label and decision of the check empty.",
            )
        return RegressionErrorGoal(task)
    for name in (label, decision):
        if name and name not in task.classes:
            raise PolicyError(
                f"an evasion check names the class {name!r}, which the task does not have",
                cure=f"Choose from {', '.join(task.classes)}, or leave it empty for any.",
            )
    names, harmful = np.array(task.classes), untargeted_goal(task).harmful
    if task.costs:
        harmful = harmful & (np.array(task.costs) > 0)
    if label:
        harmful = harmful & (names == label)[:, None]
    if decision:
        harmful = harmful & (names == decision)[None, :]
    if not harmful.any():
        raise PolicyError(
            f"no row of class {label or 'any'!r} is harmed by the decision {decision or 'any'!r}",
            cure="Name two different classes, and none whose decision costs nothing.",
        )
    return HarmfulDecisionGoal(task, harmful, label, decision)


def find_concerned_rows(goal: AttackGoal, labels: Labels) -> Mask:
    """Return which rows a goal is about: those of whose label a decision can be harmful.

    A label of which every wrong decision costs nothing stays: its rows are safe, and count so.
    """
    if not isinstance(goal, HarmfulDecisionGoal) or not (goal.label or goal.decision):
        return np.ones(len(labels), dtype=np.bool_)
    return np.asarray(goal.harmful[labels].any(axis=1))


@dataclass(frozen=True, slots=True)
class RegressionErrorGoal:
    """Success is a prediction further from the label than the task tolerates.

    Its labels are the true numbers, not classes.
    """

    task: RegressionTask

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the error is beyond the tolerance."""
        found: Mask = self.margin(probabilities, labels) > 0
        return found

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return the error beyond the tolerance, in the prediction's own unit."""
        missed: Floats = np.abs(scores[:, 0] - labels) - self.task.tolerance
        return missed

    def aim(self, labels: Labels) -> LossAim:
        """Return one column, to be raised: climbs get two sides from ``attacks.bands``."""
        one = np.ones((len(labels), 1), dtype=np.bool_)
        return LossAim(one, ~one)
