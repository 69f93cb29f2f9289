"""The frame around every attack: it re-checks what an attack claims, and alone counts."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.balls import Ball
from auditor.attacks.goals import Goal
from auditor.attacks.losses import Labels
from auditor.attacks.threats import Threat, within
from auditor.domain.subjects import Model
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Standing:
    """What is known of some rows, all attacks and budgets so far.

    ``crafted`` is each row's nearest successful candidate, or, where there is none, its strongest
    one (at first the clean row); ``probabilities`` and ``margin`` are what the target said to it,
    ``broken`` whether that reaches the goal, and ``breaking`` the size of the change that did
    (infinite: none; 0: the clean row itself).
    """

    crafted: Array
    probabilities: Floats
    margin: Floats
    broken: Mask
    breaking: Floats

    @classmethod
    def clean(cls, rows: Array, probabilities: Floats, labels: Labels, goal: Goal) -> "Standing":
        """Begin with clean rows and the probabilities that the target gave them."""
        reached = goal.reached(probabilities, labels)
        return cls(
            crafted=rows.copy(),
            probabilities=probabilities.copy(),
            margin=np.where(reached, goal.margin(probabilities, labels), -np.inf),
            broken=reached.copy(),
            breaking=np.where(reached, 0.0, np.inf),
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Frame:
    """One threat against some rows. Candidates come in; successes are counted on the target alone.

    ``claimed`` marks rows that an attack's own model called broken, ``queries`` counts rows scored
    on the target, ``refused`` candidates that left the threat and were not scored. A target that
    answers at random is asked ``repeats`` times and its probabilities are averaged; no more than
    ``most_queries`` rows are scored.
    """

    model: Model
    goal: Goal
    threat: Threat
    clean: Array
    labels: Labels
    clean_probabilities: Floats
    standing: Standing
    repeats: int = 1
    most_queries: int | None = None
    claimed: Mask = field(init=False)
    ball: Ball = field(init=False)
    queries: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        """Lay the ball around the rows."""
        self.ball = self.threat.around(self.clean)
        self.claimed = np.zeros(len(self.clean), dtype=np.bool_)

    @property
    def live(self) -> Rows:
        """Rows that nothing within this threat has broken yet."""
        unbroken = ~within(self.standing.breaking, self.threat.eps)
        return np.flatnonzero(unbroken).astype(np.int64)

    @property
    def right(self) -> Rows:
        """Rows whose clean input did not reach the goal."""
        return np.flatnonzero(self.standing.breaking > 0).astype(np.int64)

    def spent(self, rows: int) -> bool:
        """Whether asking for ``rows`` more would exceed what may be asked."""
        if self.most_queries is None:
            return False
        return self.queries + rows * self.repeats > self.most_queries

    def starts(self, rows: Rows, stretch: float) -> Floats:
        """Return the strongest candidates so far, their change stretched to a wider budget."""
        clean = self.clean[rows].astype(np.float64)
        change = self.standing.crafted[rows].astype(np.float64) - clean
        return self.ball.take(rows).project(clean + stretch * change)

    def claims(self, rows: Rows, probabilities: Floats) -> Mask:
        """Return for which rows an attack's own model reaches the goal, and remember them."""
        reached = self.goal.reached(probabilities, self.labels[rows])
        self.claimed[rows[reached]] = True
        return reached

    def submit(self, rows: Rows, points: Floats) -> tuple[Array, Mask, Floats]:
        """Score candidates on the target, settled inside the threat.

        Returns them, which of them reach the goal, and each one's margin: how far it is beyond the
        line, minus infinity for candidates that the threat does not permit.
        """
        candidates = self.ball.take(rows).settle(points)
        allowed = self.threat.permits(self.clean[rows], candidates)
        self.refused += int(len(rows) - allowed.sum())
        reached, margin = np.zeros(len(rows), dtype=np.bool_), np.full(len(rows), -np.inf)
        if allowed.any():
            judged = rows[allowed]
            reached[allowed], margin[allowed] = self._judge(judged, candidates[allowed])
        return candidates, reached, margin

    def _judge(self, rows: Rows, candidates: Array) -> tuple[Mask, Floats]:
        scores, probabilities = self._ask(candidates)
        reached = self.goal.reached(probabilities, self.labels[rows])
        # Raw scores still tell candidates apart where probabilities saturate at 0 and 1.
        margin = self.goal.margin(scores, self.labels[rows])
        distance = self.threat.distance(self.clean[rows], candidates)
        chosen = _best(rows, reached, distance, margin)
        self._remember(rows, candidates, probabilities, margin, distance, reached, chosen)
        return reached, margin

    def _ask(self, candidates: Array) -> tuple[Floats, Floats]:
        scores = self.model.predict(candidates)
        probabilities = self.model.probabilities(scores)
        for _again in range(1, self.repeats):
            more = self.model.predict(candidates)
            scores = scores + more
            probabilities = probabilities + self.model.probabilities(more)
        self.queries += self.repeats * len(candidates)
        return scores / self.repeats, probabilities / self.repeats

    def _remember(  # noqa: PLR0913, PLR0917 -- the columns of one answer
        self,
        rows: Rows,
        candidates: Array,
        probabilities: Floats,
        margin: Floats,
        distance: Floats,
        reached: Mask,
        chosen: Rows,
    ) -> None:
        """Keep candidates, one a row, that are nearer, or stronger where none reaches the goal."""
        standing, own = self.standing, rows[chosen]
        nearer = reached[chosen] & (distance[chosen] < standing.breaking[own])
        stronger = ~reached[chosen] & ~standing.broken[own]
        stronger &= margin[chosen] > standing.margin[own]
        places = chosen[nearer | stronger]
        taken = rows[places]
        standing.crafted[taken] = candidates[places]
        standing.probabilities[taken] = probabilities[places]
        standing.margin[taken] = margin[places]
        hit = chosen[nearer]
        standing.broken[rows[hit]] = True
        standing.breaking[rows[hit]] = distance[hit]


def _best(rows: Rows, reached: Mask, distance: Floats, margin: Floats) -> Rows:
    """Return the place of each row's best candidate: a successful and near one, else a strong one.

    An attack may submit several candidates of one row at once.
    """
    order = np.lexsort((-margin, np.where(reached, distance, 0.0), ~reached, rows))
    ordered = rows[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return np.sort(order[first]).astype(np.int64)
