"""Fast adaptive boundary attack, targeted (Croce & Hein 2020, arXiv 1907.02044 and 2003.01690)."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.losses import logit_difference
from auditor.attacks.evasion.minimum_norm import MinimumNormWalks
from auditor.attacks.evasion.norms import (
    TINY,
    Norm,
    cache_sized_slices,
    clamp,
    flatten_rows,
    row_norms,
)
from auditor.attacks.evasion.perturbation_ball import PlaneSlopes, reach_plane
from auditor.domain.tasks import Floats

MOST_BIAS = 0.1
"""The largest share of a step that is taken from the clean row (``alpha_max``, section 2.3)."""
OVERSHOOT = 1.05
"""By how much a step goes past the plane (``eta``)."""
BACK = 0.9
"""The share of its change that a success keeps before the next step (``beta``)."""
START = 0.5
"""How far from the clean row a further walk to the same class starts, as a share of the best."""


@dataclass(frozen=True, slots=True, eq=False)
class FabState:
    """Where each row's walk to the decision line of one class stands; ``change`` is in ranges."""

    quest: MinimumNormWalks
    rng: np.random.Generator
    change: Floats
    iteration: int
    steps: int

    @property
    def best(self) -> Floats:
        """The nearest success of each row, or the clean row."""
        return self.quest.best

    def ask(self) -> Query:
        """Ask about the point that each walk has reached."""
        return query_each_row(self.quest.ball.at(self.change))

    def tell(self, answer: QueryResult) -> "FabState":
        """Step to the plane that the twin's line looks like from here; begin the next walk."""
        quest, found, _ = self.quest.hear(answer)
        if self.iteration < self.steps:
            value, cotangent = logit_difference(answer.logits, quest.aim)
            slope = quest.ball.in_ranges(answer.pull(cotangent))
            # The next change: a step to the plane, drawn towards the clean row's own step
            low, high, norm = flatten_rows(quest.low), flatten_rows(quest.high), quest.ball.norm
            here, way = flatten_rows(quest.ball.change(answer.points)), flatten_rows(slope)
            ahead = np.empty_like(way)
            for part in cache_sized_slices(way):
                step = _step(
                    here[part], way[part], low[part], high[part], found[part], value[part], norm
                )
                ahead[part] = step
            change = ahead.reshape(slope.shape)
            return replace(self, quest=quest, change=change, iteration=self.iteration + 1)
        if quest.last:
            return replace(self, quest=quest)
        quest = quest.further()
        return replace(self, quest=quest, change=quest.start(self.rng, START), iteration=0)

    def take(self, keep: Mask) -> "FabState":
        """Return the walk of some rows only."""
        return replace(self, quest=self.quest.take(keep), change=self.change[keep])


def _step(  # noqa: PLR0913, PLR0917 -- where a walk stands, and what it sees
    here: Floats, way: Floats, low: Floats, high: Floats, found: Mask, value: Floats, norm: Norm
) -> Floats:
    from_clean = np.einsum("ij,ij->i", way, here) - value
    start = np.where(found, BACK, 1.0)[:, None] * here
    from_start = from_clean - np.einsum("ij,ij->i", way, start)
    seen = PlaneSlopes.of(way)
    near = reach_plane(from_start, seen, low - start, high - start, norm)
    home = reach_plane(from_clean, seen, low, high, norm)
    far, own = row_norms(near, norm), row_norms(home, norm)
    bias = np.minimum(far / np.maximum(far + own, TINY), MOST_BIAS)[:, None]
    near *= OVERSHOOT
    near += start
    near *= 1 - bias
    home *= bias * OVERSHOOT
    near += home
    return clamp(near, low, high)


@dataclass(frozen=True, slots=True)
class FastAdaptiveBoundary:
    """Walks along the twin's decision line to each of the ``walks`` likeliest classes.

    Where a row has fewer harmful classes, further walks start at random points on the way to its
    best success. One gradient a step: the plane is taken where the last step ended, and a success
    is drawn back before the next one without asking again.
    """

    steps: int
    walks: int

    source = AttackFeedback.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack, its steps and its walks."""
        return f"fab, {self.walks} x {self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step, and a last look, each walk."""
        return self.walks * (self.steps + 1)

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a point broken and nearer than any before."""
        return self.rounds + 1

    @property
    def passes(self) -> int:
        """One a step."""
        return self.walks * self.steps

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> FabState:
        """Begin at the clean rows, towards the likeliest class."""
        quest = MinimumNormWalks.begin(ground, self.walks, untargeted=False)
        return FabState(quest, rng, quest.start(rng, START), 0, self.steps)
