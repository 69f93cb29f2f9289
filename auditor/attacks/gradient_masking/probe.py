"""Probes for gradient masking: simple attacks that should find no more than the strong attacks.

If a simple attack succeeds on a row that the strong attack suite missed, the gradients are suspect.
"""

from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.apgd import ApgdState, AutoPgd
from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    EvasionAttack,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.losses import LOSSES, LossAim
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.perturbation_ball import PerturbationBall, steepest_steps
from auditor.attacks.evasion.query_costs import QueryCost, SweepResult
from auditor.attacks.evasion.square import SquareAttack
from auditor.attacks.evasion.suite_parser import AttackSuite, build_suite
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FastGradientSignState:
    """One step from the clean row along the gradient: taken once it is known."""

    ball: PerturbationBall
    aim: LossAim
    best: Floats
    taken: bool = False

    def ask(self) -> Query:
        """Ask about the clean row first, then about where the step leads."""
        return query_each_row(self.best)

    def tell(self, answer: QueryResult) -> "FastGradientSignState":
        """Take the step, once."""
        if self.taken:
            return self
        _, cotangent = LOSSES["cross_entropy"](answer.logits, self.aim)
        step = self.ball.eps * steepest_steps(answer.pull(cotangent), self.ball)
        return replace(self, best=self.ball.project(self.ball.at(step)), taken=True)

    def take(self, keep: Mask) -> "FastGradientSignState":
        """Return the steps of some rows."""
        return replace(
            self, ball=self.ball.take(keep), aim=self.aim.take(keep), best=self.best[keep]
        )


@dataclass(frozen=True, slots=True)
class FastGradientSign:
    """The fast gradient sign method (Goodfellow et al. 2015): one step of the whole budget."""

    name = "one step"
    source = AttackFeedback.TWIN
    minimises = False
    rounds = 2
    queries = 3
    passes = 1

    def begin(self, ground: AttackContext, _: np.random.Generator) -> FastGradientSignState:
        """Begin at the clean rows."""
        return FastGradientSignState(ground.ball, ground.aim, ground.ball.clean.astype(np.float64))


@dataclass(frozen=True, slots=True)
class CleanStartAscent:
    """A climb that starts at the clean rows, so that nothing but its gradient moves it."""

    climb: AutoPgd

    source = AttackFeedback.TWIN
    minimises = False

    @property
    def name(self) -> str:
        """The climb, and where it starts."""
        return f"{self.climb.name}, from the clean row"

    @property
    def rounds(self) -> int:
        """Those of the climb."""
        return self.climb.rounds

    @property
    def queries(self) -> int:
        """Those of the climb."""
        return self.climb.queries

    @property
    def passes(self) -> int:
        """Those of the climb."""
        return self.climb.passes

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> ApgdState | None:
        """Begin at the clean rows, where the climb, which is not sparse, has something to try."""
        ground = replace(ground, start=ground.ball.clean.astype(np.float64))
        return cast("ApgdState | None", self.climb.begin(ground, rng))


@dataclass(frozen=True, slots=True, eq=False)
class PointListState:
    """Points ``[tries, n, ...]`` that are asked about one after the other."""

    points: Floats
    at: int = 0

    @property
    def best(self) -> Floats:
        """The point at hand: none of them is known to be better."""
        point: Floats = self.points[min(self.at, len(self.points) - 1)]
        return point

    def ask(self) -> Query:
        """Ask about the point at hand."""
        return query_each_row(self.best)

    def tell(self, _: QueryResult) -> "PointListState":
        """Go on to the next, whatever came of it."""
        return replace(self, at=self.at + 1)

    def take(self, keep: Mask) -> "PointListState":
        """Return the points of some rows."""
        return replace(self, points=self.points[:, keep])


@dataclass(frozen=True, slots=True, eq=False)
class RandomCornersState:
    """Corners of the ball, drawn one after the other without looking at what came of them."""

    ball: PerturbationBall
    best: Floats
    rng: np.random.Generator

    def ask(self) -> Query:
        """Ask about the corner at hand."""
        return query_each_row(self.best)

    def tell(self, _: QueryResult) -> "RandomCornersState":
        """Draw the next."""
        return replace(self, best=random_corner(self.ball, self.rng))

    def take(self, keep: Mask) -> "RandomCornersState":
        """Return the throws at some rows."""
        return replace(self, ball=self.ball.take(keep), best=self.best[keep])


def random_corner(ball: PerturbationBall, rng: np.random.Generator) -> Floats:
    """Return a random corner of the L-infinity ball of each row."""
    signs = rng.choice(np.array([-1.0, 1.0]), size=ball.clean.shape)
    return ball.project(ball.at(ball.eps * signs))


@dataclass(frozen=True, slots=True)
class RandomCornersProbe:
    """Random corners of the ball: what they break, any gradient should (Athalye et al. 2018)."""

    rounds: int

    source = AttackFeedback.DECISIONS
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The number of corners."""
        return f"random corners, {self.rounds} queries"

    @property
    def queries(self) -> int:
        """One a corner."""
        return self.rounds

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> RandomCornersState:
        """Begin with one corner."""
        return RandomCornersState(ground.ball, random_corner(ground.ball, rng), rng)


@dataclass(frozen=True, slots=True)
class OtherRowsProbe:
    """Rows of another label, as far as the ball reaches: in the whole range they surely break."""

    rounds: int

    source = AttackFeedback.DECISIONS
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The number of rows that are copied."""
        return f"copies of {self.rounds} other rows"

    @property
    def queries(self) -> int:
        """One a copy."""
        return self.rounds

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> PointListState:
        """Choose the rows to copy among those that the model gets right."""
        labels, clean = ground.labels, ground.ball.clean.astype(np.float64)
        chosen = np.tile(np.arange(len(labels)), (self.rounds, 1))
        for row, label in enumerate(labels):
            others = np.flatnonzero(labels != label)
            if len(others):
                chosen[:, row] = rng.choice(others, size=self.rounds)
        return PointListState(np.array([ground.ball.project(clean[places]) for places in chosen]))


REPEATS = 5
"""How often the same rows are scored, as AutoAttack does (Croce & Hein 2020, its flags)."""
UNBOUNDED_STEPS = 20
COPIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingEffort:
    """How hard to look: budgets of the cascade under test, what stands against it, and how much."""

    eps: tuple[float, ...]
    stages: tuple[str, ...]
    rows: int
    queries: int
    corners: int
    neighbours: int
    steps: int
    near: float

    @property
    def cascade(self) -> AttackSuite:
        """The attack under test."""
        return build_suite(self.stages, Norm.LINF)

    @property
    def unbounded(self) -> AttackSuite:
        """The same gradient with all the room that there is, from the clean row."""
        climbs = (AutoPgd(UNBOUNDED_STEPS), AutoPgd(UNBOUNDED_STEPS, "difference", 1))
        return AttackSuite(tuple(CleanStartAscent(climb) for climb in climbs))

    @property
    def passes(self) -> int:
        """Gradients of the twin a row, at most."""
        budgets = len(self.eps)
        swept = (
            self.cascade.passes(budgets)
            + budgets * FastGradientSign.passes
            + self.unbounded.passes(1)
        )
        return swept + self.neighbours + 1 + self.steps

    @property
    def asked(self) -> int:
        """Queries a row, at most."""
        budgets = len(self.eps)
        bounded = self.cascade.queries(budgets) + budgets * (
            FastGradientSign.queries + self.corners + self.queries
        )
        return REPEATS + self.neighbours + bounded + self.unbounded.queries(1) + COPIES


WHOLE = 1.0
"""The budget within which every point of the box lies."""
WHITE, STEP, CORNERS, BLACK, FREE, COPY = (
    "white_box", "one_step", "random", "black_box", "unbounded", "copies",
)  # fmt: skip
PROBES = (WHITE, STEP, CORNERS, BLACK, FREE, COPY)
SLOPES = "slopes"
TICKS = 1000


@dataclass(frozen=True, slots=True)
class ProbeProgress:
    """Passes on the progress of one probe, or of its turn ``at`` of several."""

    progress: ProgressReporter
    probe: str
    at: int = 0
    turns: int = 1

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say how far the whole survey is."""
        stages = (*PROBES, SLOPES)
        turn = (self.at * TICKS + TICKS * done // max(1, total)) // self.turns
        self.progress(
            stages.index(self.probe) * TICKS + turn,
            len(stages) * TICKS,
            f"{self.probe.replace('_', ' ')}: {note}",
        )


@dataclass(slots=True, eq=False)
class MaskingSearch:
    """What the probes found so far: the size of each row's nearest success, probe by probe."""

    arena: AttackSetup
    seed: int
    progress: ProgressReporter
    found: dict[str, SweepResult] = field(default_factory=dict)
    log: list[tuple[str, QueryCost]] = field(default_factory=list)

    def throw(self, probe: str, attack: AttackSuite, budgets: tuple[float, ...]) -> None:
        """Throw a suite at all rows."""
        told = ProbeProgress(self.progress, probe)
        found = run_sweep(attack, self.arena, budgets, self._seed(probe), told)
        self.found[probe] = found
        self.log.extend((probe, bill) for bill in found.log)

    def follow(self, probe: str, attack: EvasionAttack, budgets: tuple[float, ...]) -> None:
        """At each budget anew, throw an attack at the rows that the cascade left standing."""
        nearest = self.found[WHITE].breaking
        count = len(self.arena.rows)
        best = SweepResult(
            budgets=(),
            probabilities=self.arena.probabilities.copy(),
            crafted=self.arena.rows,
            distance=np.zeros(count),
            breaking=np.full(count, np.inf),
            movable=(),
            log=(),
        )
        for index, eps in enumerate(budgets):
            rows = np.flatnonzero(
                ~is_within_budget(nearest, eps) & ~is_within_budget(best.breaking, eps)
            )
            if len(rows):
                told = ProbeProgress(self.progress, probe, index, len(budgets))
                arena, one = select_setup_rows(self.arena, rows), AttackSuite((attack,))
                part = run_sweep(one, arena, (eps,), self._seed(probe), told)
                better = part.breaking < best.breaking[rows]
                probabilities, breaking = best.probabilities.copy(), best.breaking.copy()
                probabilities[rows[better]] = part.probabilities[better]
                breaking[rows[better]] = part.breaking[better]
                best = replace(best, probabilities=probabilities, breaking=breaking)
                self.log.extend((probe, bill) for bill in part.log)
        self.found[probe] = best

    def _seed(self, probe: str) -> int:
        return self.seed + PROBES.index(probe)


def run_probes(
    arena: AttackSetup, effort: MaskingEffort, seed: int, progress: ProgressReporter
) -> MaskingSearch:
    """Run every probe on all rows of an arena, all of which the model gets right.

    Raises ``CancelledError`` through ``progress``.
    """
    search = MaskingSearch(arena, seed, progress)
    search.throw(WHITE, effort.cascade, effort.eps)
    search.throw(STEP, AttackSuite((FastGradientSign(),)), effort.eps)
    search.follow(CORNERS, RandomCornersProbe(effort.corners), effort.eps)
    search.follow(BLACK, SquareAttack(effort.queries), effort.eps)
    search.throw(FREE, effort.unbounded, (WHOLE,))
    search.throw(COPY, AttackSuite((OtherRowsProbe(COPIES),)), (WHOLE,))
    return search


def select_setup_rows(arena: AttackSetup, rows: NDArray[np.int64]) -> AttackSetup:
    """Return the arena with some of its rows."""
    return replace(
        arena,
        rows=arena.rows[rows],
        labels=arena.labels[rows],
        probabilities=arena.probabilities[rows],
    )
