"""Attacks on a cascade's rule: force rows to the cloud, or keep from it what it would mend.

Forced deferral spends the cloud's money and time (Haque et al. 2020, arXiv 2003.09388, of nets that
exit early); suppressed deferral leaves a wrong decision standing with an edge that is sure of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import Arena, gather
from auditor.attacks.bills import Sweep
from auditor.attacks.goals import Goal
from auditor.attacks.losses import Aim, Labels
from auditor.attacks.norms import Norm
from auditor.attacks.suites import suite
from auditor.attacks.sweeping import sweep
from auditor.domain.companions import Cascade
from auditor.domain.models import Model, Timing
from auditor.domain.placements import Placement
from auditor.domain.subjects import Subject
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Decide = Callable[[Floats], Labels]


@dataclass(frozen=True, slots=True)
class Stated:
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
    def placement(self) -> Placement:
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

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> Timing:
        """Time the model itself."""
        return self.model.time(inputs, calls=calls, warmup=warmup, batch_rows=batch_rows)


@dataclass(frozen=True, slots=True)
class Forced:
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

    def aim(self, labels: Labels) -> Aim:
        """Return every class to raise but the label: a flat answer is what is wanted."""
        return _others(labels, self)


@dataclass(frozen=True, slots=True)
class Suppressed:
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

    def aim(self, labels: Labels) -> Aim:
        """Return every class to raise but the label."""
        return _others(labels, self)


def _others(labels: Labels, goal: "Forced | Suppressed") -> Aim:
    own = np.arange(goal.width)[None, :] == labels[:, None]
    return Aim(~own, own)


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """What an attack on the rule came to: the edge's answers before and after, and how far off."""

    goal: Goal
    labels: Labels
    before: Floats
    after: Floats
    distance: Floats
    queries: int


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard the rule is attacked: budgets, queries a row and budget, and rows."""

    budgets: tuple[float, ...]
    queries: int
    rows: int


def attack_rule(subject: Subject, cascade: Cascade, goal: Goal, effort: Effort) -> Attempt:
    """Search the edge's answers for changes that reach ``goal``: Square Attack in the max norm.

    Raises ``TypeError`` where a need is not met,
    ``CancelledError`` through the subject's progress.
    """
    edge = Stated(cascade.edge)
    bout = gather(subject.asked_of(edge, subject.twin), effort.rows, Norm.LINF)
    arena: Arena = replace(bout.arena, goal=goal, twin=None, repeats=1)
    found: Sweep = sweep(
        suite((f"square:{effort.queries}",), Norm.LINF),
        arena,
        effort.budgets,
        subject.seed,
        subject.progress,
    )
    return Attempt(
        goal,
        arena.labels,
        arena.probabilities,
        found.probabilities,
        found.distance,
        sum(bill.queries for bill in found.log),
    )
