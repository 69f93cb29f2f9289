"""The judge of every attack: it re-checks claimed successes on the target and counts them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.goals import AttackGoal
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Reals
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.threat_model import ThreatModel, is_within_budget
from auditor.domain.models import Model
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class BestSoFar:
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
    def clean(
        cls, rows: Array, probabilities: Floats, labels: Labels, goal: AttackGoal
    ) -> "BestSoFar":
        """Begin with clean rows and the probabilities that the target gave them."""
        reached = goal.reached(probabilities, labels)
        return cls(
            crafted=rows.copy(),
            probabilities=probabilities.copy(),
            margin=np.where(reached, goal.margin(probabilities, labels), -np.inf),
            broken=reached.copy(),
            breaking=np.where(reached, 0.0, np.inf),
        )

    def remember(self, rows: Rows, heard: "JudgedCandidates") -> None:
        """Keep candidates, one for each of ``rows``, that are nearer, or stronger where none is
        successful.
        """
        nearer = heard.reached & (heard.distance < self.breaking[rows])
        stronger = ~(heard.reached | self.broken[rows]) & (heard.margin > self.margin[rows])
        taken = np.flatnonzero(nearer | stronger)
        own = rows[taken]
        self.crafted[own] = heard.candidates.take(taken, axis=0)
        self.probabilities[own] = heard.probabilities.take(taken, axis=0)
        self.margin[own] = heard.margin[taken]
        fallen = rows[nearer]
        self.broken[fallen] = True
        self.breaking[fallen] = heard.distance[nearer]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCandidates:
    """What came of candidates: the target's answer, whether it reaches the goal, and how far."""

    candidates: Array
    probabilities: Floats
    reached: Mask
    margin: Floats
    distance: Floats

    def take(self, keep: Rows) -> "JudgedCandidates":
        """Return what came of some of them."""
        return JudgedCandidates(
            self.candidates[keep],
            self.probabilities[keep],
            self.reached[keep],
            self.margin[keep],
            self.distance[keep],
        )


def query_target(model: Model, candidates: Array, repeats: int) -> tuple[Floats, Floats]:
    """Return a target's scores and probabilities, each the mean of ``repeats`` answers."""
    scores = model.predict(candidates)
    probabilities = model.probabilities(scores)
    for _again in range(1, repeats):
        more = model.predict(candidates)
        scores, probabilities = scores + more, probabilities + model.probabilities(more)
    return scores / repeats, probabilities / repeats


def judge_answers(  # noqa: PLR0913, PLR0917 -- what was asked, and how it is judged
    scores: Floats,
    probabilities: Floats,
    goal: AttackGoal,
    labels: Labels,
    candidates: Array,
    distance: Floats,
) -> JudgedCandidates:
    """Return what a target's answers say of candidates under a goal."""
    reached = goal.reached(probabilities, labels)
    # Raw scores still tell candidates apart where probabilities saturate at 0 and 1.
    return JudgedCandidates(
        candidates, probabilities, reached, goal.margin(scores, labels), distance
    )


@dataclass(slots=True, eq=False, kw_only=True)
class AttackJudge:
    """One threat against some rows. Candidates come in; successes are counted on the target alone.

    ``claimed`` marks rows that an attack's own model called broken, ``queries`` counts rows scored
    on the target, ``refused`` candidates that left the threat and were not scored. A target that
    answers at random is asked ``repeats`` times and its probabilities are averaged; no more than
    ``most_queries`` rows are scored.
    """

    model: Model
    goal: AttackGoal
    threat: ThreatModel
    clean: Array
    labels: Labels
    clean_probabilities: Floats
    standing: BestSoFar
    repeats: int = 1
    most_queries: int | None = None
    claimed: Mask = field(init=False)
    ball: PerturbationBall = field(init=False)
    queries: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        """Lay the ball around the rows."""
        self.ball = self.threat.around(self.clean)
        self.claimed = np.zeros(len(self.clean), dtype=np.bool_)

    @property
    def live(self) -> Rows:
        """Rows that nothing within this threat has broken yet."""
        unbroken = ~is_within_budget(self.standing.breaking, self.threat.eps)
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
        self.claim(rows, reached)
        return reached

    def claim(self, rows: Rows, reached: Mask) -> None:
        """Remember for which rows an attack's own model reaches the goal."""
        if reached.any():
            self.claimed[rows[reached]] = True

    def submit(self, rows: Rows, points: Reals) -> tuple[Array, Mask, Floats]:
        """Score candidates on the target, settled inside the threat.

        Returns them, which of them reach the goal, and each one's margin: how far it is beyond the
        line, minus infinity for candidates that the threat does not permit.
        """
        candidates = self.ball.take(rows).settle(points)
        return candidates, *self.score(rows, candidates)

    def score(self, rows: Rows, candidates: Array) -> tuple[Mask, Floats]:
        """Score settled candidates on the target; what the threat does not permit is refused.

        Returns what ``submit`` does.
        """
        allowed, distance = self.threat.judge(self.clean.take(rows, axis=0), candidates)
        permitted = int(np.count_nonzero(allowed))
        if permitted == len(rows):
            return self._judge(rows, candidates, distance)
        self.refused += len(rows) - permitted
        reached, margin = np.zeros(len(rows), dtype=np.bool_), np.full(len(rows), -np.inf)
        if permitted:
            heard = self._judge(rows[allowed], candidates[allowed], distance[allowed])
            reached[allowed], margin[allowed] = heard
        return reached, margin

    def _judge(self, rows: Rows, candidates: Array, distance: Floats) -> tuple[Mask, Floats]:
        self.queries += self.repeats * len(candidates)
        scores, probabilities = query_target(self.model, candidates, self.repeats)
        labels = self.labels[rows]
        heard = judge_answers(scores, probabilities, self.goal, labels, candidates, distance)
        if (rows[1:] > rows[:-1]).all():
            self.standing.remember(rows, heard)
        else:
            # The place of each row's best candidate: a successful and near one, else a strong one.
            # An attack may submit several candidates of one row at once.
            order = np.lexsort(
                (-heard.margin, np.where(heard.reached, heard.distance, 0.0), ~heard.reached, rows)
            )
            ordered = rows[order]
            first = np.ones(len(order), dtype=np.bool_)
            first[1:] = ordered[1:] != ordered[:-1]
            chosen = np.sort(order[first]).astype(np.int64)
            self.standing.remember(rows[chosen], heard.take(chosen))
        return heard.reached, heard.margin
