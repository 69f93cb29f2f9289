"""The frame around every attack: it re-checks what an attack claims, and alone counts."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.losses import Labels, score_margin
from auditor.attacks.threats import Ball, Threat
from auditor.domain.subjects import Model
from auditor.domain.tasks import Array, Classification, Floats

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Standing:
    """What is known of some rows, all attacks and budgets so far.

    ``crafted`` is each row's strongest candidate (at first the clean row), ``probabilities`` and
    ``margin`` what the target said to it, ``broken`` whether the target then decided wrongly, and
    ``breaking`` at which budget that first happened (infinite: never; 0: the clean row is wrong).
    """

    crafted: Array
    probabilities: Floats
    margin: Floats
    broken: Mask
    breaking: Floats

    @classmethod
    def clean(cls, rows: Array, probabilities: Floats, wrong: Mask, labels: Labels) -> "Standing":
        """Begin with clean rows and the probabilities that the target gave them."""
        return cls(
            crafted=rows.copy(),
            probabilities=probabilities.copy(),
            margin=np.where(wrong, score_margin(probabilities, labels), -np.inf),
            broken=wrong.copy(),
            breaking=np.where(wrong, 0.0, np.inf),
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Frame:
    """One threat against some rows. Candidates come in; successes are counted on the target alone.

    ``claimed`` marks rows that an attack's own model called broken, ``queries`` counts rows scored
    on the target, ``refused`` candidates that left the threat and were not scored.
    """

    model: Model
    task: Classification
    threat: Threat
    clean: Array
    labels: Labels
    standing: Standing
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
        """Rows that nothing has broken yet."""
        return np.flatnonzero(~self.standing.broken).astype(np.int64)

    def starts(self, rows: Rows, stretch: float) -> Floats:
        """Return the strongest candidates so far, their change stretched to a wider budget."""
        clean = self.clean[rows].astype(np.float64)
        change = self.standing.crafted[rows].astype(np.float64) - clean
        return self.ball.take(rows).project(clean + stretch * change)

    def claims(self, rows: Rows, probabilities: Floats) -> Mask:
        """Return which rows an attack's own model decides wrongly, and remember them."""
        wrong: Mask = self.task.decide(probabilities) != self.labels[rows]
        self.claimed[rows[wrong]] = True
        return wrong

    def submit(self, rows: Rows, points: Floats) -> tuple[Mask, Floats]:
        """Score candidates on the target.

        Returns which are broken, and each one's margin there: how far a wrong class is ahead, minus
        infinity for candidates that the threat does not permit.
        """
        candidates = self.ball.take(rows).settle(points)
        allowed = self.threat.permits(self.clean[rows], candidates)
        self.refused += int(len(rows) - allowed.sum())
        broken, margin = np.zeros(len(rows), dtype=np.bool_), np.full(len(rows), -np.inf)
        if allowed.any():
            judged = rows[allowed]
            broken[allowed], margin[allowed] = self._judge(judged, candidates[allowed])
        return broken, margin

    def _judge(self, rows: Rows, candidates: Array) -> tuple[Mask, Floats]:
        scores = self.model.predict(candidates)
        self.queries += len(rows)
        probabilities = self.model.probabilities(scores)
        wrong: Mask = self.task.decide(probabilities) != self.labels[rows]
        # Raw scores still tell candidates apart where probabilities saturate at 0 and 1.
        margin = score_margin(scores, self.labels[rows])
        standing = self.standing
        better = wrong | (margin > standing.margin[rows])
        better &= ~standing.broken[rows]
        taken = rows[better]
        standing.crafted[taken] = candidates[better]
        standing.probabilities[taken] = probabilities[better]
        standing.margin[taken] = margin[better]
        fresh = rows[wrong & ~standing.broken[rows]]
        standing.broken[fresh] = True
        standing.breaking[fresh] = self.threat.eps
        return wrong, margin
