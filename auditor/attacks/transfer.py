"""Points crafted on another model, put to the target once each (Szegedy et al. 2014; Papernot et
al. 2016, arXiv 1605.07277).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.apgd import Apgd
from auditor.attacks.arenas import Arena
from auditor.attacks.asking import Answer, Ground
from auditor.attacks.bills import Bill, Sweep
from auditor.attacks.frame import Frame, Rows, Standing
from auditor.attacks.goals import Harm
from auditor.attacks.losses import softmax
from auditor.attacks.offline import bill, judge
from auditor.attacks.surrogates import Lesson, Surrogate, teach
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """What came of candidates from a surrogate, and how like the target it was."""

    sweep: Sweep
    surrogate: Surrogate


def distil(judged: Arena, answered: Arena, lesson: Lesson, rng: np.random.Generator) -> Surrogate:
    """Teach a surrogate what the target says to the rows of ``answered``.

    Its ``distance`` is measured on the rows of ``judged``, which it never saw.
    """
    model = teach(answered.rows, answered.probabilities, lesson, rng)
    theirs, ours = judged.probabilities, softmax(model.forward(judged.rows))
    apart = np.abs(theirs - ours)
    model.distance = {
        "agreement": float(np.mean(_decide(judged, theirs) == _decide(judged, ours))),
        "max_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
        "rows": float(len(theirs)),
    }
    return model


def carry(  # noqa: PLR0913, PLR0917 -- an attack, where it goes, and who is told
    arena: Arena, surrogate: Surrogate, attack: Apgd, budgets: Sequence[float],
    rng: np.random.Generator, progress: Progress,
) -> Sweep:  # fmt: skip
    """Craft on the surrogate at each budget, and ask the target once about each row that stands.

    The target never guides the attack. Raises ``CancelledError`` through ``progress``.
    """
    run = _Run(arena, surrogate, attack, rng, progress, len(budgets) * attack.rounds)
    for eps in budgets:
        run.at(eps)
    standing = run.standing
    return Sweep(
        budgets=tuple(budgets),
        probabilities=standing.probabilities,
        crafted=standing.crafted,
        distance=arena.threat(budgets[-1]).distance(arena.rows, standing.crafted),
        breaking=standing.breaking,
        movable=tuple(int(arena.threat(eps).movable.sum()) for eps in budgets),
        log=tuple(run.log),
    )


@dataclass(slots=True, eq=False)
class _Run:
    arena: Arena
    surrogate: Surrogate
    attack: Apgd
    rng: np.random.Generator
    progress: Progress
    total: int
    standing: Standing = field(init=False)
    done: int = 0
    log: list[Bill] = field(default_factory=list)

    def __post_init__(self) -> None:
        arena = self.arena
        self.standing = Standing.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)

    def at(self, eps: float) -> None:
        frame = self.arena.frame(eps, self.standing)
        live = np.zeros(len(frame.clean), dtype=np.bool_)
        live[frame.live] = True
        fell, end = np.zeros_like(live), self.done + self.attack.rounds
        if frame.threat.movable.any():
            fell = judge(frame, frame.live, lambda own: self._craft(frame, own), self.surrogate)
        self.done = end
        self.log.append(bill(self.attack.name, frame, live, fell, 0))

    def _craft(self, frame: Frame, own: Rows) -> Floats:
        """Climb to the end: the target's line may lie well beyond the surrogate's."""
        ground = Ground(
            ball=frame.ball.take(own),
            labels=frame.labels[own],
            goal=frame.goal,
            probabilities=frame.clean_probabilities[own],
        )
        state = self.attack.begin(ground, self.rng)
        if state is None:
            return frame.clean[own].astype(np.float64)
        for _round in range(self.attack.rounds):
            self.done = min(self.done + 1, self.total)
            self.progress(self.done, self.total, f"eps {frame.threat.eps:g}")
            question = state.ask()
            if question is None:
                break
            points = ground.ball.settle(question.points)
            logits = self.surrogate.forward(points)
            unheard = np.zeros(len(points), dtype=np.bool_)
            answer = Answer(points, unheard, np.zeros(0), logits, self.surrogate.backward)
            state = state.tell(answer)
        return state.best


def _decide(arena: Arena, probabilities: Floats) -> NDArray[np.int64]:
    goal = arena.goal
    if isinstance(goal, Harm):
        return goal.task.decide(probabilities)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
