"""What an attacker may make of a table's rows: the one rule for attacks and for counterexamples."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.constraints.reaching import Mask, Reach, moved
from auditor.attacks.constraints.repairing import feasible
from auditor.attacks.constraints.structure import MOVED_BY_STEPS, Constraints, constraints_of
from auditor.domain.tasks import Array, FeatureKind, Floats, InputSpace


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Types, ranges, directions, one-hot groups and relations hold, immutable columns stay, and no
    more than ``most_features`` units move (0: no limit).
    """

    constraints: Constraints
    most_features: int = 0

    @property
    def steps(self) -> Mask:
        """Which columns are quantities, whose change counts against the budget."""
        kinds = [feature.kind for feature in self.constraints.features]
        return np.array([kind in MOVED_BY_STEPS for kind in kinds])

    def distance(self, clean: Array, points: Array) -> Floats:
        """Return the least budget that allows each change: the largest one of a quantity.

        0 where codes alone have changed, which no budget limits.
        """
        change = np.abs(points.astype(np.float64) - clean.astype(np.float64))
        width = self.constraints.width
        share = change / np.where(width > 0, width, 1.0)
        return np.asarray(np.where(self.steps, share, 0.0).max(axis=1, initial=0.0))

    def units(self, clean: Array, points: Array) -> NDArray[np.int64]:
        """Return how many units of each row were moved."""
        count: NDArray[np.int64] = moved(self.constraints, clean, points).sum(axis=1)
        return count

    def permits(self, region: Reach, points: Array) -> Mask:
        """Return which points are within reach, keep every rule, and move few enough units."""
        most = self.most_features or len(self.constraints.units)
        few = self.units(region.clean, points) <= most
        allowed: Mask = few & feasible(self.constraints, region, points)
        return allowed


def rules_of(space: InputSpace, most_features: int = 0, *, whole: bool = False) -> Rules:
    """Return the rules of a space that has features.

    Where the model or the data take whole numbers only (``whole``), every quantity moves in steps
    of 1. Raises ``ValueError`` for a space without features.
    """
    return Rules(constraints_of(_in_whole_steps(space) if whole else space), most_features)


def _in_whole_steps(space: InputSpace) -> InputSpace:
    kinds = {FeatureKind.NUMERIC: FeatureKind.INTEGER}
    features = [
        replace(feature, kind=kinds.get(feature.kind, feature.kind)) for feature in space.features
    ]
    return replace(space, features=tuple(features))
