"""What counts as success: which answers of the target to a row of some label are harmful."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.losses import Aim, Labels, ahead
from auditor.domain.tasks import Classification, Floats, Regression

Mask = NDArray[np.bool_]


class Goal(Protocol):
    """Decides success from what the target says; the same rule before and after an attack."""

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the target's answer is harmful."""
        ...

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return how far each row's scores are beyond the line: positive where harmful."""
        ...

    def aim(self, labels: Labels) -> Aim:
        """Return which classes an attack should raise and lower, row by row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Harm:
    """Success is a decision that ``harmful[label, decision]`` names: ``[classes, classes]``.

    A rejection class is a column that is harmless whatever the label is.
    """

    task: Classification
    harmful: Mask

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the decision is harmful."""
        found: Mask = self.harmful[labels, self.task.decide(probabilities)]
        return found

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return the best harmful score minus the best harmless one."""
        return ahead(scores, self.aim(labels))

    def aim(self, labels: Labels) -> Aim:
        """Return harmful classes to raise, harmless ones to lower."""
        toward = self.harmful[labels]
        return Aim(toward, ~toward)


def any_other(task: Classification) -> Harm:
    """Return the untargeted goal: every decision but the label is harmful."""
    return Harm(task, ~np.eye(len(task.classes), dtype=np.bool_))


def costly(task: Classification, costs: NDArray[np.float64], least: float) -> Harm:
    """Return the goal that only decisions which cost at least ``least`` are harmful.

    ``costs[label, decision]`` is ``[classes, classes]``.
    """
    harmful = (costs >= least) & ~np.eye(len(task.classes), dtype=np.bool_)
    return Harm(task, harmful)


@dataclass(frozen=True, slots=True)
class Error:
    """Success is a prediction further from the label than the task tolerates."""

    task: Regression

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the error is beyond the tolerance."""
        found: Mask = self.margin(probabilities, labels) > 0
        return found

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return the error beyond the tolerance, in the prediction's own unit."""
        missed: Floats = np.abs(scores[:, 0] - labels) - self.task.tolerance
        return missed

    def aim(self, labels: Labels) -> Aim:
        """Return one column, to be raised; an attack tries lowering it as well."""
        one = np.ones((len(labels), 1), dtype=np.bool_)
        return Aim(one, ~one)
