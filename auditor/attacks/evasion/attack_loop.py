"""The loop of one evasion attack: it queries only rows that are still undecided."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    EvasionAttack,
    Query,
    QueryResult,
    all_row_places,
)
from auditor.attacks.evasion.goals import Claim, HarmfulDecisionGoal, build_broken_test
from auditor.attacks.evasion.judge import AttackJudge, Mask, Rows
from auditor.attacks.evasion.norms import is_finite
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, Floats

Tick = Callable[[], None]
"""Called at each question; raises ``CancelledError`` when the user stopped the audit."""


@dataclass(frozen=True, slots=True, eq=False)
class _RowCache:
    """What is asked for again with every question about the same rows."""

    rows: Rows
    ball: PerturbationBall
    claim: Claim


@dataclass(slots=True, eq=False)
class AttackLoop:
    """One attack on the rows of a frame that stand; ``passes`` counts gradients of the twin.

    An attack that minimises takes the rows ``among``, or all that are right; those that it breaks
    within ``enough`` are done.
    """

    attack: EvasionAttack
    frame: AttackJudge
    twin: Twin | None
    tick: Tick
    among: Rows | None = None
    enough: float = 0.0
    passes: int = 0
    _near: "_RowCache | None" = None

    def run(self, rng: np.random.Generator, *, stretch: float = 0.0) -> None:
        """Attack every live row until it breaks, or the attack has asked all it wants or may.

        ``stretch`` above 0 starts from the strongest candidates so far, their change stretched.
        An attack that minimises is shown them as they are. It takes broken rows too, and keeps
        them, but for those broken by ``enough``: it may find something nearer. Ends early when the
        frame's queries are spent.
        """
        if not self.attack.minimises:
            rows = self.frame.live
        else:
            rows = self.frame.right if self.among is None else self.among
        if not len(rows):
            return
        shown = 1.0 if self.attack.minimises else stretch
        frame = self.frame
        state = self.attack.begin(
            AttackContext(
                ball=self._at(rows).ball,
                labels=frame.labels[rows],
                goal=frame.goal,
                probabilities=self._heard(frame.clean_probabilities[rows]),
                start=frame.starts(rows, shown) if shown > 0 else None,
                broken=frame.standing.broken[rows],
            ),
            rng,
        )
        if state is None:
            return
        for _round in range(self.attack.rounds):
            question = state.ask()
            if question is None or not len(rows) or self.frame.spent(len(question.points)):
                break
            self.tick()
            scored = self.frame.queries
            state = state.tell(self._answer(rows, question))
            if self.frame.queries > scored and (self.enough or not self.attack.minimises):
                least = self.enough if self.attack.minimises else self.frame.threat.eps
                keep: Mask = ~is_within_budget(self.frame.standing.breaking[rows], least)
                rows, state = rows[keep], state.take(keep)
        # Let the target judge the best point of rows that the twin never called broken
        if (
            self.attack.source is AttackFeedback.TWIN
            and len(rows)
            and not self.frame.spent(len(rows))
        ):
            self.frame.submit(rows, state.best)

    def _heard(self, probabilities: Floats) -> Floats:
        """Return what the attack may know of clean rows: of scores, decisions at most."""
        goal = self.frame.goal
        if self.attack.source is AttackFeedback.DECISIONS and isinstance(goal, HarmfulDecisionGoal):
            return np.eye(probabilities.shape[1])[goal.task.decide(probabilities)]
        return probabilities

    def _answer(self, rows: Rows, question: Query) -> QueryResult:
        own = rows if question.rows is all_row_places(len(rows)) else rows[question.rows]
        if self.attack.source is AttackFeedback.TWIN:
            return self._from_twin(own, question)
        points, reached, margin = self.frame.submit(own, question.points)
        if self.attack.source is AttackFeedback.DECISIONS:
            margin = np.zeros(0)  # an attack on decisions sees no scores
        return QueryResult(points, reached, margin, np.zeros((0, 0)), _no_gradient)

    def _from_twin(self, own: Rows, question: Query) -> QueryResult:
        if self.twin is None:
            message = f"{self.attack.name} needs a twin"
            raise TypeError(message)
        twin, near = self.twin, self._at(own)
        points = near.ball.settle(question.points, held=question.held)
        logits = twin.forward(points)
        reached = self._confirm(own, points, near.claim(logits))

        def pull(cotangent: Floats) -> Floats:
            self.passes += len(cotangent)
            gradient = twin.backward(cotangent)
            return gradient if is_finite(gradient) else np.nan_to_num(gradient)

        return QueryResult(points, reached, np.zeros(0), logits, pull)

    def _at(self, own: Rows) -> _RowCache:
        """Return what belongs to some rows, which are mostly those asked about before."""
        near, frame = self._near, self.frame
        if near is None or not (near.rows is own or np.array_equal(near.rows, own)):
            claim = build_broken_test(frame.goal, frame.labels[own])
            near = self._near = _RowCache(own, frame.ball.take(own), claim)
        return near

    def _confirm(self, own: Rows, points: Array, claimed: Mask) -> Mask:
        """Return which points the target confirms, asking only where the twin calls them broken.

        An attack that minimises need not ask about points no nearer than a success it has.
        """
        reached = np.zeros(len(own), dtype=np.bool_)
        if not np.count_nonzero(claimed):
            return reached
        self.frame.claim(own, claimed)
        places = np.flatnonzero(claimed)
        if self.attack.minimises:
            some = own[places]
            distance = self.frame.threat.distance(
                self.frame.clean.take(some, axis=0), points.take(places, axis=0)
            )
            places = places[distance < self.frame.standing.breaking[some]]
        if len(places) and not self.frame.spent(len(places)):
            found, _ = self.frame.score(own[places], points.take(places, axis=0))
            reached[places] = found
        return reached


def _no_gradient(cotangent: Floats) -> Floats:
    message = f"an attack on the target pulled {len(cotangent)} gradients: it has none"
    raise TypeError(message)
