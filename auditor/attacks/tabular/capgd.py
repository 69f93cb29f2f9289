"""CAPGD: Auto-PGD among rows that can exist (Simonetto et al. 2024, arXiv 2406.00775)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.attacks.evasion.apgd import PgdAscent, checkpoint_iterations
from auditor.attacks.evasion.losses import LOSSES, softmax
from auditor.attacks.evasion.norms import Norm, to_double
from auditor.attacks.evasion.perturbation_ball import (
    CoordinateLimits,
    CoordinateLimitsSubset,
    PerturbationBall,
)
from auditor.attacks.tabular.attack import Rows, TabularJudge
from auditor.attacks.tabular.constraints.linear_forms import differentiate
from auditor.attacks.tabular.constraints.reachable_box import ReachableBox
from auditor.attacks.tabular.constraints.repair import RepairEffort, snap_rows
from auditor.attacks.tabular.constraints.row_constraints import RowConstraints
from auditor.attacks.tabular.constraints.violations import violation_penalty
from auditor.domain.models import Twin
from auditor.domain.tasks import Floats

LOSS = "cross_entropy"
Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class ConstrainedPgd:
    """Climbs the twin's loss minus the penalty for broken relations, from several starts.

    Each iterate is settled (codes, groups, and what relations define), is drawn back by the
    relations that it still breaks, and is repaired before the twin judges it; the target is asked
    where the twin says broken, and once at the end. Unlike in the paper the penalty weighs as much
    as the loss, and slopes go through what relations define. The first start is the best so far or
    the clean row, each of ``restarts - 1`` others a random row in reach.
    """

    steps: int
    restarts: int = 1

    needs_twin = True

    @property
    def name(self) -> str:
        """The attack and its settings."""
        return f"capgd, {self.steps} steps x {self.restarts}"

    @property
    def rounds(self) -> int:
        """How often progress is told."""
        return self.restarts * (self.steps + 1)

    @property
    def queries(self) -> int:
        """The target judges a row only where the twin calls it broken, and the best one."""
        return self.restarts * (self.steps + 2)

    @property
    def passes(self) -> int:
        """One a step."""
        return self.restarts * self.steps

    def run(
        self, judge: TabularJudge, twin: Twin | None, rng: np.random.Generator, tick: Tick
    ) -> int:
        """Attack the rows that stand; returns how many gradients were taken.

        Raises ``TypeError`` without a twin.
        """
        if twin is None:
            message = f"{self.name} needs a twin"
            raise TypeError(message)
        passes = 0
        for restart in range(self.restarts):
            rows = judge.live
            if not len(rows):
                break
            start = judge.standing.crafted[rows].astype(np.float64)
            if restart:
                start = random_points(judge.region.take(rows), rng)
            passes += _ConstrainedAscent(judge, twin, self.steps, tick).climb(rows, start)
        return passes


def random_points(region: ReachableBox, rng: np.random.Generator) -> Floats:
    """Return points spread evenly over what each column can reach, not repaired yet."""
    return np.asarray(rng.uniform(region.lower, region.upper))


@dataclass(frozen=True, slots=True, eq=False)
class _ConstrainedAscent:
    judge: TabularJudge
    twin: Twin
    steps: int
    tick: Tick

    def climb(self, rows: Rows, start: Floats) -> int:
        """Climb from one start, and return how many gradients were taken."""
        passes, ascent, checks = 0, PgdAscent.start(start), checkpoint_iterations(self.steps)
        for step in range(self.steps + 1):
            self.tick()
            last = step == self.steps
            point, slope = to_double(ascent.point), to_double(ascent.best_gradient)
            # Loss and gradient; the target judges what the twin calls broken
            judge, constraints = self.judge, self.judge.table.constraints
            region = judge.region.take(rows)
            settled = snap_rows(constraints, region, point)
            candidates = judge.candidates(rows, point, wanted=self._wanted(rows, point, slope))
            logits = self.twin.forward(candidates)
            aim = judge.table.arena.goal.aim(judge.table.arena.labels[rows])
            loss, cotangent = LOSSES[LOSS](logits, aim)
            gradient = None
            if not last:
                exact = settled.astype(np.float64)
                pulled = np.nan_to_num(self.twin.backward(cotangent))
                ahead = chain_definitions(constraints, exact, pulled)
                back = chain_definitions(
                    constraints, exact, violation_penalty(constraints, settled)[1]
                )
                whole = ahead - slope_weights(ahead, back, constraints.width) * back
                gradient = project_one_hot(constraints, whole)
            claimed = judge.claims(rows, softmax(logits))
            if claimed.any():
                judge.submit(rows[claimed], candidates[claimed])
            if gradient is None:
                ascent = ascent.end(loss)
            else:
                passes += len(rows)
                ball = region_ball(self.judge.region.take(rows), self.judge)
                ascent = ascent.advance(loss, gradient, ball, checks)
            keep = self.judge.unbroken(rows)
            rows = rows[keep]
            if not len(rows):
                return passes
            ascent = ascent.take(keep)
        best = to_double(ascent.best)
        wanted = self._wanted(rows, best, to_double(ascent.best_gradient))
        found = self.judge.candidates(rows, best, effort=RepairEffort.FULL, wanted=wanted)
        self.judge.submit(rows, found)
        return passes

    def _wanted(self, rows: Rows, points: Floats, slope: Floats) -> Floats:
        """Return what each unit's move brings to first order: those that bring most may stay."""
        brings = np.abs(slope * (points - self.judge.region.exact[rows]))
        units = self.judge.table.constraints.units
        return np.stack([brings[:, unit.columns].sum(axis=1) for unit in units], axis=1)


def region_ball(region: ReachableBox, judge: TabularJudge) -> PerturbationBall:
    """Return a region as a ball of radius 1, in which a quantity's budget counts as its range."""
    space = judge.table.constraints.space
    budget = np.where(judge.table.steps, judge.eps, 1.0) * space.width
    return PerturbationBall(
        limits=CoordinateLimitsSubset(
            CoordinateLimits(
                clean=region.clean,
                exact=region.exact,
                lower=region.lower,
                upper=region.upper,
                least=region.clean,
                most=region.clean,
            )
        ),
        quantum=np.zeros_like(space.low),
        origin=space.low,
        norm=Norm.LINF,
        eps=1.0,
        scale=budget,
    )


def slope_weights(ahead: Floats, back: Floats, width: Floats) -> Floats:
    """Return the weight ``[n, 1]`` that gives two slopes the same size over the ranges.

    Where a relation is broken neither outweighs the other, whatever the model's logits are worth.
    """
    gain = np.abs(ahead * width).sum(axis=1)
    price = np.abs(back * width).sum(axis=1)
    return np.asarray((gain / np.where(price > 0, price, 1.0))[:, None])


def project_one_hot(constraints: RowConstraints, slope: Floats) -> Floats:
    """Return a slope in which the steepest column of a one-hot group rises and all others fall.

    A step goes by sign alone: members that rose alike would leave the choice between them open.
    """
    found = slope.copy()
    for group in constraints.groups:
        own = slope[:, list(group)]
        first, second = np.sort(own, axis=1)[:, -1], np.sort(own, axis=1)[:, -2]
        found[:, list(group)] = own - ((first + second) / 2)[:, None]
    return found


def chain_definitions(constraints: RowConstraints, points: Floats, slope: Floats) -> Floats:
    """Return a slope by the columns that are free, through those that relations define by them."""
    total, columns = slope.copy(), constraints.columns(points)
    places = {feature.name: index for index, feature in enumerate(constraints.features)}
    for definition in reversed(constraints.definitions):
        if definition.conditional:
            continue
        handed = total[:, definition.column].copy()
        total[:, definition.column] = 0.0
        for name, by in differentiate(definition.expression, columns).slopes.items():
            share = handed * by
            total[:, places[name]] += np.where(np.isfinite(share), share, 0.0)
    return total
