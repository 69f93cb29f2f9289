"""Universal perturbation attack: one change for all rows, fitted by stochastic gradients.

Sources: Moosavi-Dezfooli et al. 2017 (arXiv 1610.08401), and Shafahi et al. 2020 (arXiv 1811.11304,
algorithm 2) for the gradients of a clipped loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.evidence import RowOutcomes
from auditor.attacks.evasion.holdout import build_query_cost, judge_candidates
from auditor.attacks.evasion.judge import BestSoFar, Mask
from auditor.attacks.evasion.losses import cross_entropy
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.query_costs import QueryCost, SweepResult
from auditor.attacks.evasion.threat_model import ThreatModel
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.evidence import Evidence
from auditor.domain.models import Twin
from auditor.domain.tasks import Floats

CLIP = 3.0
"""The loss beyond which a row counts as broken for good and pulls no more (section 4)."""
MOMENTUM = 0.9
FIRST_STEP, LAST_STEP = 0.25, 0.01
"""Steps as shares of the budget; they fall by a cosine."""


@dataclass(frozen=True, slots=True)
class PerturbationFit:
    """How a perturbation is fitted: steps, and rows a step."""

    steps: int
    batch: int

    @property
    def name(self) -> str:
        """How logs call it."""
        return f"universal, {self.steps} steps of {self.batch} rows"


@dataclass(frozen=True, slots=True, eq=False)
class UniversalResult:
    """What came of one perturbation a budget.

    ``perturbations`` is ``[budgets, ...]``, ``alone`` what the target said to each judged row
    with that one: ``[budgets, n, classes]``. In ``sweep`` a row that a smaller perturbation broke
    counts as broken, and the size of its change is the budget of the first that did.
    """

    sweep: SweepResult
    perturbations: Floats
    alone: Floats


def attack_universally(  # noqa: PLR0913, PLR0917 -- where it is fitted, where it is judged, and how
    judged: AttackSetup,
    fitted: AttackSetup,
    budgets: Sequence[float],
    fit: PerturbationFit,
    seed: int,
    progress: ProgressReporter,
) -> UniversalResult:
    """Fit a perturbation on the rows of ``fitted`` at each budget, and judge it on ``judged``.

    Raises ``TypeError`` where there is no twin, and ``CancelledError`` through ``progress``.
    """
    if judged.twin is None:
        message = "the frame asks for needs first"
        raise TypeError(message)
    run = _UniversalRun(judged, judged.twin)
    rng, change, before = np.random.default_rng(seed), np.zeros(judged.rows.shape[1:]), 0.0
    for index, eps in enumerate(budgets):
        threat = fitted.threat(eps)
        start = change * (eps / before) if before else change

        def tick(step: int, first: int = index * fit.steps, eps: float = eps) -> None:
            progress(first + step, len(budgets) * fit.steps, f"eps {eps:g}")

        change = fit_perturbation(judged.twin, fitted, threat, start, fit, rng, tick)
        run.try_out(change, eps, fit.name, fit.steps * min(fit.batch, len(fitted.rows)))
        before = eps
    return run.close(tuple(budgets))


def fit_perturbation(  # noqa: PLR0913, PLR0917 -- what is fitted, on what, and how
    twin: Twin,
    arena: AttackSetup,
    threat: ThreatModel,
    start: Floats,
    fit: PerturbationFit,
    rng: np.random.Generator,
    tick: Callable[[int], None],
) -> Floats:
    """Return the change, of the shape of a row, that raises the mean clipped loss of all rows."""
    ball, aim = threat.around(arena.rows), arena.goal.aim(arena.labels)
    change, pull = np.clip(start, -threat.radius, threat.radius), np.zeros_like(start)
    count = len(arena.rows)
    for step in range(fit.steps if threat.movable.any() else 0):
        tick(step)
        rows = rng.choice(count, min(fit.batch, count), replace=False)
        logits = twin.forward(_moved(ball.take(rows), change))
        loss, cotangent = cross_entropy(logits, aim.take(rows))
        gradient = np.nan_to_num(twin.backward(cotangent * (loss < CLIP)[:, None])).mean(axis=0)
        slope = gradient * threat.scale
        pull = MOMENTUM * pull + slope / max(float(np.abs(slope).mean()), 1e-300)
        share = LAST_STEP + (FIRST_STEP - LAST_STEP) * (1 + np.cos(np.pi * step / fit.steps)) / 2
        ahead = change + share * threat.radius * np.sign(pull)
        change = np.clip(ahead, -threat.radius, threat.radius)
    return change


def first_breaking_perturbation(reached: Mask, budgets: Sequence[float]) -> Floats:
    """Return the first budget whose perturbation broke each row; infinite where none did."""
    sizes = np.where(reached, np.array(budgets)[:, None], np.inf)
    least: Floats = sizes.min(axis=0)
    return least


def fooling_rates(evidence: Evidence, seen: RowOutcomes) -> list[float]:
    """Return the share of the rows that are right which each budget's one perturbation breaks."""
    said = cast("Floats", evidence["alone_probabilities"])
    right = ~seen.wrong
    fell = [(seen.goal.reached(one, seen.labels) & right).sum() for one in said]
    return [float(count / max(1, right.sum())) for count in fell]


def _moved(ball: PerturbationBall, change: Floats) -> Floats:
    return ball.project(ball.clean.astype(np.float64) + change)


@dataclass(slots=True, eq=False)
class _UniversalRun:
    """All judged rows, and what each perturbation so far did to them."""

    arena: AttackSetup
    twin: Twin
    wrong: Mask = field(init=False)
    changes: list[Floats] = field(default_factory=list)
    reached: list[Mask] = field(default_factory=list)
    standings: list[BestSoFar] = field(default_factory=list)
    log: list[QueryCost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wrong = self._fresh().broken

    def try_out(self, change: Floats, eps: float, name: str, passes: int) -> None:
        """Put one perturbation on every row, and ask the target once about each."""
        frame = self.arena.frame(eps, self._fresh())
        rows = np.arange(len(self.arena.rows), dtype=np.int64)
        told = judge_candidates(
            frame, rows, lambda own: _moved(frame.ball.take(own), change), self.twin
        )
        reached = told & ~self.wrong
        before = np.any(self.reached, axis=0) if self.reached else np.zeros_like(self.wrong)
        live = ~self.wrong & ~before
        spent = passes if frame.threat.movable.any() else 0
        self.log.append(build_query_cost(name, frame, live, reached & live, spent))
        self.changes.append(change)
        self.reached.append(reached)
        self.standings.append(frame.standing)

    def close(self, budgets: tuple[float, ...]) -> UniversalResult:
        """Return what came of all of them together, and of each alone."""
        reached, rows = np.array(self.reached), np.arange(len(self.arena.rows))
        breaking = first_breaking_perturbation(reached, budgets)
        chosen = np.where(np.isfinite(breaking), reached.argmax(axis=0), len(budgets) - 1)
        alone = np.array([item.probabilities for item in self.standings])
        crafted = np.array([item.crafted for item in self.standings])
        found = SweepResult(
            budgets=budgets,
            probabilities=alone[chosen, rows],
            crafted=crafted[chosen, rows],
            distance=np.where(np.isfinite(breaking), breaking, budgets[-1]),
            breaking=np.where(self.wrong, 0.0, breaking),
            movable=tuple(int(self.arena.threat(eps).movable.sum()) for eps in budgets),
            log=tuple(self.log),
        )
        return UniversalResult(found, np.array(self.changes), alone)

    def _fresh(self) -> BestSoFar:
        arena = self.arena
        return BestSoFar.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)
