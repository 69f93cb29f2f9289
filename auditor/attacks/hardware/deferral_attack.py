"""Attacks on a cascade's deferral rule: force rows to the cloud, or keep wrong ones on the edge.

Forced deferral spends the cloud's money and time (Haque et al. 2020, arXiv 2003.09388, of nets that
exit early); suppressed deferral leaves a wrong decision standing with an edge that is sure of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup, prepare_attack_run
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import AttackGoal
from auditor.attacks.evasion.losses import Labels, LossAim
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.check_subject import Subject
from auditor.domain.models import Model, ModelCascade, ModelTiming
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Decide = Callable[[Floats], Labels]


@dataclass(frozen=True, slots=True)
class ProbabilityScoreModel:
    """A model whose scores are its probabilities, as a cascade's rule reads them."""

    model: Model

    @property
    def queries(self) -> int:
        """Rows asked of the model."""
        return self.model.queries

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for it."""
        return self.model.busy

    @property
    def fingerprint(self) -> Fingerprint:
        """Its fingerprint."""
        return self.model.fingerprint

    @property
    def placement(self) -> OperatorPlacement:
        """Its placement."""
        return self.model.placement

    @property
    def deterministic(self) -> bool:
        """Whether it repeats its scores."""
        return self.model.deterministic

    def predict(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` probabilities."""
        return self.model.probabilities(self.model.predict(inputs))

    def probabilities(self, scores: Floats) -> Floats:
        """Return the scores, which are probabilities already."""
        return scores

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Time the model itself."""
        return self.model.time(inputs, calls=calls, warmup=warmup, batch_rows=batch_rows)


@dataclass(frozen=True, slots=True)
class ForcedDeferralGoal:
    """Success is a row of which the edge is not sure enough; ``width`` is the number of classes."""

    below: float
    width: int = 2

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:  # noqa: ARG002 -- a goal's own form
        """Return which rows are deferred."""
        deferred: Mask = probabilities.max(axis=1) < self.below
        return deferred

    def margin(self, scores: Floats, labels: Labels) -> Floats:  # noqa: ARG002 -- a goal's own form
        """Return how far below the line the largest probability lies."""
        missing: Floats = self.below - scores.max(axis=1)
        return missing

    def aim(self, labels: Labels) -> LossAim:
        """Return every class to raise but the label: a flat answer is what is wanted."""
        return _others(labels, self)


@dataclass(frozen=True, slots=True)
class SuppressedDeferralGoal:
    """Success is a wrong decision of which the edge is sure enough to keep it.

    ``decide`` makes decisions of probabilities, as the task does: two classes have a threshold.
    """

    below: float
    decide: Decide
    width: int = 2

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return which rows are kept with a wrong decision."""
        wrong = self.decide(probabilities) != labels
        kept: Mask = wrong & (probabilities.max(axis=1) >= self.below)
        return kept

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return how far beyond the line the largest wrong probability lies."""
        others = scores.copy()
        others[np.arange(len(labels)), labels] = -np.inf
        beyond: Floats = others.max(axis=1) - self.below
        return beyond

    def aim(self, labels: Labels) -> LossAim:
        """Return every class to raise but the label."""
        return _others(labels, self)


def _others(labels: Labels, goal: "ForcedDeferralGoal | SuppressedDeferralGoal") -> LossAim:
    own = np.arange(goal.width)[None, :] == labels[:, None]
    return LossAim(~own, own)


@dataclass(frozen=True, slots=True, eq=False)
class RuleAttackResult:
    """What an attack on the rule came to: the edge's answers before and after, and how far off."""

    goal: AttackGoal
    labels: Labels
    before: Floats
    after: Floats
    distance: Floats
    queries: int


@dataclass(frozen=True, slots=True)
class RuleAttackEffort:
    """How hard the rule is attacked: budgets, queries a row and budget, and rows."""

    budgets: tuple[float, ...]
    queries: int
    rows: int


def attack_deferral_rule(
    subject: Subject, cascade: ModelCascade, goal: AttackGoal, effort: RuleAttackEffort
) -> RuleAttackResult:
    """Search the edge's answers for changes that reach ``goal``: Square Attack in the max norm.

    Raises ``TypeError`` where a need is not met,
    ``CancelledError`` through the subject's progress.
    """
    edge = ProbabilityScoreModel(cascade.edge)
    bout = prepare_attack_run(subject.asked_of(edge, subject.twin), effort.rows, Norm.LINF)
    arena: AttackSetup = replace(bout.arena, goal=goal, twin=None, repeats=1)
    found: SweepResult = run_sweep(
        build_suite((f"square:{effort.queries}",), Norm.LINF),
        arena,
        effort.budgets,
        subject.seed,
        subject.progress,
    )
    return RuleAttackResult(
        goal,
        arena.labels,
        arena.probabilities,
        found.probabilities,
        found.distance,
        sum(bill.queries for bill in found.log),
    )
