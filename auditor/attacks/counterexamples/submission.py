"""Submitted counterexamples, beside the rows that they start from and the target."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.goals import AttackGoal
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.patch_campaign import SquareConstraint
from auditor.attacks.evasion.spatial_transformations import ImageTransformation
from auditor.attacks.evasion.threat_model import ThreatModel, lp_threat
from auditor.domain.challenges import CounterexampleKind
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace, Task
from auditor.errors import DatasetError


class ThreatFactory(Protocol):
    """Draws a threat around the evaluation rows, as the frame does for attacks."""

    def __call__(
        self, norm: Norm, eps: float, square: SquareConstraint | None = None
    ) -> ThreatModel:
        """Return the threat of a budget, and of the one square that holds all changes, if asked."""
        ...


def build_threat_factory(
    space: InputSpace | None, row: tuple[int, ...], *, whole: bool
) -> ThreatFactory:
    """Return how the frame draws threats around rows of a shape, each but once.

    Without a space it raises ``DatasetError``.
    """

    @cache
    def drawn(norm: Norm, eps: float, square: SquareConstraint | None) -> ThreatModel:
        return lp_threat(_declared(space), norm, eps, row, whole=whole, constraints=square)

    def draw(norm: Norm, eps: float, square: SquareConstraint | None = None) -> ThreatModel:
        return drawn(norm, eps, square)

    return draw


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChallengeContext:
    """All evaluation rows, in the order of the data, and the target that is asked about them.

    ``ask`` returns the target's probabilities of ``[n, ...]`` inputs. ``space`` is ``None`` where
    the audit names none, as of texts; ``whole`` says that only whole numbers fit, ``takes`` what
    shape one input of the model has, where the target says it.
    """

    inputs: Array
    labels: Labels
    places: Mapping[str, int]
    task: Task
    ask: Callable[[Array], Floats]
    threat: ThreatFactory
    space: InputSpace | None = None
    whole: bool = False
    takes: tuple[int, ...] | None = None

    @property
    def declared(self) -> InputSpace:
        """The input space. Raises ``DatasetError`` where the audit names none."""
        return _declared(self.space)


def _declared(space: InputSpace | None) -> InputSpace:
    if space is None:
        raise DatasetError(
            "the record's audit names no range of inputs, without which no change has a size",
            cure="Challenge a record whose audit file says input.domain or features.",
        )
    return space


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CounterexampleBatch:
    """Counterexamples as the model takes them, beside the evaluation rows that they start from.

    ``inputs`` and ``clean`` are ``[n, ...]``; where ``rows`` names no evaluation row, ``known`` is
    false and ``clean`` anything. ``said`` and ``said_clean`` are what the target answered to them,
    ``disputed`` marks those that were given another label than the evaluation data hold. Of
    ``views`` the inputs are the clean rows, until a claim applies them; perturbations start from
    no row, and are ``inputs`` themselves.
    """

    ground: ChallengeContext
    kind: CounterexampleKind
    inputs: Array
    rows: tuple[str, ...]
    known: NDArray[np.bool_]
    disputed: NDArray[np.bool_]
    clean: Array
    labels: Labels
    said: Floats
    said_clean: Floats
    views: tuple[ImageTransformation, ...] = ()

    def asked(self, inputs: Array) -> "CounterexampleBatch":
        """Return the same examples with other inputs, and the target's answers to these."""
        return replace(self, inputs=inputs, said=self.ground.ask(inputs))

    def decided(self, at: int) -> str:
        """Return what the target said to an example, in words."""
        task = self.ground.task
        if isinstance(task, ClassificationTask):
            return task.classes[self.decision(at)]
        return f"{float(self.said[at, 0]):.6g}"

    def decision(self, at: int) -> int:
        """Return the class that the target decides for; the task is a classification."""
        task = cast("ClassificationTask", self.ground.task)
        return int(task.decide(self.said[at : at + 1])[0])

    def misled(self, at: int, goal: AttackGoal) -> bool:
        """Whether the target's answer to an example reaches the goal."""
        return bool(goal.reached(self.said[at : at + 1], self.labels[at : at + 1])[0])

    def wrong(self, at: int, goal: AttackGoal) -> bool:
        """Whether the target's answer to the row itself reaches the goal."""
        return bool(goal.reached(self.said_clean[at : at + 1], self.labels[at : at + 1])[0])

    def pair(self, at: int) -> tuple[Array, Array]:
        """Return a row and its example, each ``[1, ...]``."""
        return self.clean[at : at + 1], self.inputs[at : at + 1]
