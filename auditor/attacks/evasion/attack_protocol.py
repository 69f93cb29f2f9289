"""The protocol of an evasion attack: it asks about points, receives the results, and asks again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.goals import AttackGoal
from auditor.attacks.evasion.losses import Labels, LossAim
from auditor.attacks.evasion.norms import Reals
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


class AttackFeedback(StrEnum):
    """What an attack hears: gradients of the twin, the target's scores, or its decisions only."""

    TWIN = "twin"
    SCORES = "scores"
    DECISIONS = "decisions"


@dataclass(frozen=True, slots=True, eq=False)
class AttackContext:
    """What an attack is given of its rows when it begins.

    ``ball`` holds clean rows and all candidates; ``probabilities`` are the target's of the clean
    rows. ``start`` is the best that other attacks found (``None``: begin anywhere), ``broken``
    whether it already reaches the goal, so that an attack on decisions can walk on from there.
    """

    ball: PerturbationBall
    labels: Labels
    goal: AttackGoal
    probabilities: Floats
    start: Floats | None = None
    broken: Mask | None = None

    @property
    def aim(self) -> LossAim:
        """Which classes to raise and to lower, row by row."""
        return self.goal.aim(self.labels)

    def take(self, keep: NDArray[np.generic]) -> "AttackContext":
        """Return the part for some rows."""
        return replace(
            self,
            ball=self.ball.take(keep),
            labels=self.labels[keep],
            probabilities=self.probabilities[keep],
            start=None if self.start is None else self.start[keep],
            broken=None if self.broken is None else self.broken[keep],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Points to be judged: ``points[i]`` is a wish for the row at place ``rows[i]`` of the state.

    A row may be asked about several times at once, or not at all. ``held`` says that the points
    are the ball's already, as ``PerturbationBall.settle`` has it.
    """

    points: Reals
    rows: Places
    held: bool = False


@lru_cache(maxsize=64)
def all_row_places(rows: int) -> Places:
    """Return the places of all of so many rows, not to be changed."""
    places = np.arange(rows, dtype=np.int64)
    places.setflags(write=False)
    return places


def query_each_row(points: Reals, *, held: bool = False) -> Query:
    """Ask about one point a row."""
    return Query(points, all_row_places(len(points)), held)


@dataclass(frozen=True, slots=True, eq=False)
class QueryResult:
    """What came of a question, in its order.

    ``judged`` are the candidates that were: inside the ball, on the input's steps, in its type.
    ``reached`` says whether the target's answer reaches the goal (an attack on the twin hears of
    points that the twin called broken). ``margin`` is how far the target's scores are beyond the
    line, minus infinity for a refused candidate (only for ``SCORES``). ``logits`` are the twin's
    and ``pull`` turns a cotangent ``[m, classes]`` into the gradient in the points, as often as
    needed (only for ``TWIN``).
    """

    judged: Array
    reached: Mask
    margin: Floats
    logits: Floats
    pull: Callable[[Floats], Floats]

    @property
    def points(self) -> Floats:
        """The candidates that were judged, in double precision."""
        return self.judged.astype(np.float64)


class AttackState(Protocol):
    """Where an attack stands on some rows; ``tell`` and ``take`` return the next state."""

    @property
    def best(self) -> Floats:
        """The strongest or nearest point of each row so far."""
        ...

    def ask(self) -> Query | None:
        """Return the points to judge next; ``None`` where nothing is left to ask."""
        ...

    def tell(self, answer: QueryResult) -> Self:
        """Return the state after hearing the answer to the last question."""
        ...

    def take(self, keep: Mask) -> Self:
        """Return the state of some rows only."""
        ...


class EvasionAttack(Protocol):
    """A way of looking for candidates, with its settings."""

    @property
    def name(self) -> str:
        """How logs and reports call it, with its settings."""
        ...

    @property
    def source(self) -> AttackFeedback:
        """What it must hear."""
        ...

    @property
    def rounds(self) -> int:
        """How many questions it asks at most; its state may end earlier."""
        ...

    @property
    def queries(self) -> int:
        """How many rows a row it asks the target for at most."""
        ...

    @property
    def passes(self) -> int:
        """How many gradients of the twin a row it takes at most."""
        ...

    @property
    def minimises(self) -> bool:
        """Whether it looks for the nearest success, and so goes on with rows that are broken."""
        ...

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> AttackState | None:
        """Return the state before the first question; ``None`` where there is nothing to try."""
        ...
