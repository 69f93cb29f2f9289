"""Transfer attacks: adversarial examples crafted on a surrogate model and tried on the target.

The surrogate learns from the target's answers (Papernot et al. 2017, arXiv 1602.02697, without
further queries; Hinton et al. 2015, arXiv 1503.02531). Each transferred point costs one query
(Szegedy et al. 2014; Papernot et al. 2016, arXiv 1605.07277).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_protocol import AttackContext, QueryResult
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.goals import HarmfulDecisionGoal
from auditor.attacks.evasion.holdout import build_query_cost, judge_candidates
from auditor.attacks.evasion.judge import AttackJudge, BestSoFar, Rows
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.query_costs import QueryCost, SweepResult
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.digests import Digest
from auditor.domain.json import Json
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
BATCH = 32
RATE, FIRST_DECAY, SECOND_DECAY, TINY = 3e-3, 0.9, 0.999, 1e-8
STILL = 1e-9
"""A spread of less than this share of the mean is rounding error."""
SHRINK = 1e-4
"""Weight decay, which keeps the surrogate smooth: its slopes carry over better."""


@dataclass(frozen=True, slots=True)
class SurrogateTraining:
    """How a surrogate is taught: units of its hidden layer, and passes over the answers."""

    hidden: int
    epochs: int


@dataclass(slots=True, eq=False)
class SurrogateNetwork:
    """A network of one hidden layer beside a linear one; implements ``domain.models.Twin``.

    ``center`` and ``scale`` standardise each coordinate; a missing value stands at the center.
    """

    center: Floats
    scale: Floats
    first: Floats
    bias: Floats
    second: Floats
    direct: Floats
    offset: Floats
    distance: Mapping[str, float] = field(default_factory=dict)
    passes: int = 0
    _active: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=np.bool_))
    _known: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=np.bool_))
    _shape: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[Floats, ...]:
        """What is learned."""
        return (self.first, self.bias, self.second, self.direct, self.offset)

    @property
    def source(self) -> Mapping[str, Json]:
        """That it is a surrogate, and the digest of its weights."""
        weights = hashlib.sha256()
        for part in (self.center, self.scale, *self.parts):
            weights.update(np.ascontiguousarray(part).tobytes())
        return {"kind": "surrogate", "digest": Digest.of_hex(weights.hexdigest())}

    def forward(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` logits."""
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        self._known, self._shape = ~np.isnan(flat), inputs.shape
        standard = np.where(self._known, (flat - self.center) / self.scale, 0.0)
        before = standard @ self.first + self.bias
        self._active = before > 0
        bent = np.maximum(before, 0.0) @ self.second
        logits: Floats = bent + standard @ self.direct + self.offset
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``."""
        self.passes += len(cotangent)
        inner = (cotangent @ self.second.T) * self._active
        along = inner @ self.first.T + cotangent @ self.direct.T
        gradient: Floats = along / self.scale * self._known
        return gradient.reshape(self._shape)


def train_surrogate(
    rows: Array, answers: Floats, lesson: SurrogateTraining, rng: np.random.Generator
) -> SurrogateNetwork:
    """Return a surrogate of the target's ``answers``: ``[n, classes]`` probabilities of ``rows``.

    Adam (Kingma & Ba 2015, arXiv 1412.6980) on the cross-entropy with the answers, batches of 32.
    """
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    known = np.where(np.isnan(flat), 0.0, flat), (~np.isnan(flat)).sum(axis=0)
    center = known[0].sum(axis=0) / np.maximum(known[1], 1)
    away = np.where(np.isnan(flat), 0.0, flat - center)
    spread = np.sqrt((away * away).sum(axis=0) / np.maximum(known[1], 1))
    # A coordinate that never moves is as good as silent: its slope must not be the steepest.
    scale = np.where(spread > STILL * np.maximum(np.abs(center), TINY), spread, np.inf)
    size, classes = flat.shape[1], answers.shape[1]
    model = SurrogateNetwork(
        center=center,
        scale=scale,
        first=rng.normal(size=(size, lesson.hidden)) * np.sqrt(2 / size),
        bias=np.zeros(lesson.hidden),
        second=np.zeros((lesson.hidden, classes)),
        direct=np.zeros((size, classes)),
        offset=np.zeros(classes),
    )
    _SurrogateTrainer(model, away / scale, answers).learn(lesson.epochs, rng)
    return model


@dataclass(slots=True, eq=False)
class _SurrogateTrainer:
    """A surrogate in training on standardised rows."""

    model: SurrogateNetwork
    rows: Floats
    answers: Floats
    steps: int = 0
    means: list[Floats] = field(default_factory=list)
    squares: list[Floats] = field(default_factory=list)

    def learn(self, epochs: int, rng: np.random.Generator) -> None:
        self.means = [np.zeros_like(part) for part in self.model.parts]
        self.squares = [np.zeros_like(part) for part in self.model.parts]
        total = epochs * -(-len(self.rows) // BATCH)
        for _epoch in range(epochs):
            order = rng.permutation(len(self.rows))
            for begin in range(0, len(order), BATCH):
                rate = RATE * (1 + np.cos(np.pi * self.steps / total)) / 2
                self._step(order[begin : begin + BATCH], rate)

    def _step(self, chosen: Array, rate: float) -> None:
        first, bias, second, direct, offset = self.model.parts
        rows = self.rows[chosen]
        before = rows @ first + bias
        hidden = np.maximum(before, 0.0)
        said = softmax(hidden @ second + rows @ direct + offset)
        missed = (said - self.answers[chosen]) / len(rows)
        inner = (missed @ second.T) * (before > 0)
        total = missed.sum(axis=0)
        slopes = (rows.T @ inner, inner.sum(axis=0), hidden.T @ missed, rows.T @ missed, total)
        self.steps += 1
        for place, (part, slope) in enumerate(zip(self.model.parts, slopes, strict=True)):
            mean, square = self.means[place], self.squares[place]
            mean += (1 - FIRST_DECAY) * (slope - mean)
            square += (1 - SECOND_DECAY) * (slope * slope - square)
            steady = mean / (1 - FIRST_DECAY**self.steps)
            rough = np.sqrt(square / (1 - SECOND_DECAY**self.steps)) + TINY
            np.subtract(part, rate * (steady / rough + SHRINK * part), out=part)


def distil_surrogate(
    judged: AttackSetup, answered: AttackSetup, lesson: SurrogateTraining, rng: np.random.Generator
) -> SurrogateNetwork:
    """Teach a surrogate what the target says to the rows of ``answered``.

    Its ``distance`` is measured on the rows of ``judged``, which it never saw.
    """
    model = train_surrogate(answered.rows, answered.probabilities, lesson, rng)
    theirs, ours = judged.probabilities, softmax(model.forward(judged.rows))
    apart = np.abs(theirs - ours)
    model.distance = {
        "agreement": float(np.mean(_decide(judged, theirs) == _decide(judged, ours))),
        "max_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
        "rows": float(len(theirs)),
    }
    return model


def run_transfer(  # noqa: PLR0913, PLR0917 -- an attack, where it goes, and who is told
    arena: AttackSetup, surrogate: SurrogateNetwork, attack: AutoPgd, budgets: Sequence[float],
    rng: np.random.Generator, progress: ProgressReporter,
) -> SweepResult:  # fmt: skip
    """Craft on the surrogate at each budget, and ask the target once about each row that stands.

    The target never guides the attack. Raises ``CancelledError`` through ``progress``.
    """
    run = _TransferRun(arena, surrogate, attack, rng, progress, len(budgets) * attack.rounds)
    for eps in budgets:
        run.at(eps)
    standing = run.standing
    return SweepResult(
        budgets=tuple(budgets),
        probabilities=standing.probabilities,
        crafted=standing.crafted,
        distance=arena.threat(budgets[-1]).distance(arena.rows, standing.crafted),
        breaking=standing.breaking,
        movable=tuple(int(arena.threat(eps).movable.sum()) for eps in budgets),
        log=tuple(run.log),
    )


@dataclass(slots=True, eq=False)
class _TransferRun:
    arena: AttackSetup
    surrogate: SurrogateNetwork
    attack: AutoPgd
    rng: np.random.Generator
    progress: ProgressReporter
    total: int
    standing: BestSoFar = field(init=False)
    done: int = 0
    log: list[QueryCost] = field(default_factory=list)

    def __post_init__(self) -> None:
        arena = self.arena
        self.standing = BestSoFar.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)

    def at(self, eps: float) -> None:
        frame = self.arena.frame(eps, self.standing)
        live = np.zeros(len(frame.clean), dtype=np.bool_)
        live[frame.live] = True
        fell, end = np.zeros_like(live), self.done + self.attack.rounds
        if frame.threat.movable.any():
            fell = judge_candidates(
                frame, frame.live, lambda own: self._craft(frame, own), self.surrogate
            )
        self.done = end
        self.log.append(build_query_cost(self.attack.name, frame, live, fell, 0))

    def _craft(self, frame: AttackJudge, own: Rows) -> Floats:
        """Climb to the end: the target's line may lie well beyond the surrogate's."""
        ground = AttackContext(
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
            answer = QueryResult(points, unheard, np.zeros(0), logits, self.surrogate.backward)
            state = state.tell(answer)
        return state.best


def _decide(arena: AttackSetup, probabilities: Floats) -> NDArray[np.int64]:
    goal = arena.goal
    if isinstance(goal, HarmfulDecisionGoal):
        return goal.task.decide(probabilities)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
