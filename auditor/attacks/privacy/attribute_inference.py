"""How much more right an attacker is about members than who never saw the model, and than about
others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.exposing.attribute_attack import RIGHT, UNASKED
from auditor.exposing.attribute_gaps import FEWEST
from auditor.stats.clusters import clustered_mean, clustered_mean_difference
from auditor.stats.differences import difference, few_clusters, interval_difference
from auditor.stats.paired import paired_difference

POWER = 0.8
Codes = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Which guesses of one secret were right, of rows of which some are ``members``.

    ``clusters`` ``[n]`` says which rows hang together, ``None`` where each stands alone.
    """

    attack: Flags
    baseline: Flags
    members: Flags
    clusters: Codes | None

    @classmethod
    def of(
        cls,
        attack: NDArray[np.uint8],
        baseline: NDArray[np.uint8],
        members: Flags,
        clusters: Codes | None,
    ) -> "Contest":
        """Leave out the rows about which nobody was asked."""
        kept = attack != UNASKED
        return cls(
            attack[kept] == RIGHT,
            baseline[kept] == RIGHT,
            members[kept],
            None if clusters is None else clusters[kept],
        )

    @property
    def enough(self) -> bool:
        """Whether there are enough members and others to say anything."""
        few = min(int(self.members.sum()), int((~self.members).sum())) < FEWEST
        return not few and (self.clusters is None or not few_clusters(self.clusters, self.members))

    def over_baseline(self, confidence: float) -> Interval:
        """Return the attack's accuracy on members less the baseline's on the same rows."""
        return self._gain(self.members, confidence)

    def over_others(self, confidence: float) -> Interval:
        """Return that gain of members less the gain that the attack has of others.

        What a model has learnt of everybody shows in both, and so does an imputer that does better
        on one of two samples; only what it keeps of its members is left.
        """
        if self.clusters is None:
            ours, others = (self._gain(side, confidence) for side in (self.members, ~self.members))
            return interval_difference(ours, others)
        gains = self.attack.astype(np.float64) - self.baseline
        codes = self.clusters.astype(np.int64)
        return clustered_mean_difference(gains, self.members, codes, confidence)

    def _gain(self, side: Flags, confidence: float) -> Interval:
        attack, baseline = self.attack[side], self.baseline[side]
        if self.clusters is None:
            gained, lost = int((attack & ~baseline).sum()), int((~attack & baseline).sum())
            return paired_difference(gained, lost, attack.size, confidence)
        gains = attack.astype(np.float64) - baseline
        return clustered_mean(gains, self.clusters[side].astype(np.int64), confidence)

    def leak(self, confidence: float, family: int) -> Interval:
        """Return the smaller of both gains, at a level that holds for a family of secrets at once.

        Its lower limit is the smaller of both lower limits, which needs no correction for two; its
        upper limit is the smaller of both at half of the error, which does.
        """
        error = (1 - confidence) / family
        one, other = self.over_baseline(1 - error), self.over_others(1 - error)
        wide = [part(1 - error / 2) for part in (self.over_baseline, self.over_others)]
        value = min(one.value, other.value)
        low, high = min(one.low, other.low), min(it.high for it in wide)
        method = f"smaller of {one.method} and {other.method}, joint by bonferroni"
        return Interval(value, min(low, value), max(high, value), confidence, method, one.n)

    def unlike(self, level: float, family: int) -> bool:
        """Whether the baseline, which knows no model, tells members from others."""
        found = difference(self.baseline, self.members, self.clusters, 1 - level / family)
        return not found.low <= 0 <= found.high

    def smallest(self, level: float, family: int) -> float:
        """Return the least leak that would be shown four times in five, at these rows."""
        error = level / family
        z = float(ndtri(1 - error))
        parts = (part(1 - 2 * error) for part in (self.over_baseline, self.over_others))
        spread = max((it.value - it.low) / z for it in parts)
        return min(1.0, (z + float(ndtri(POWER))) * spread)

    def rates(self) -> dict[str, Json]:
        """Return the accuracies that the figure comes from."""
        sides = {"members": self.members, "non_members": ~self.members}
        found: dict[str, Json] = {}
        for name, side in sides.items():
            found[f"{name}_accuracy"] = float(self.attack[side].mean())
            found[f"{name}_baseline"] = float(self.baseline[side].mean())
            found[name] = int(side.sum())
        return found


def bounded(found: Interval) -> Interval:
    """Keep the limits of a difference of shares within -1 and 1."""
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def contests(evidence: Evidence) -> Iterator[Contest]:
    """Yield the contest of each column that was asked about, from the evidence."""
    names = ("attack", "baseline", "members")
    attack, baseline, members = (cast("NDArray[np.uint8]", evidence[name]) for name in names)
    clusters = cast("NDArray[np.int32] | None", evidence.get("clusters"))
    for one, other in zip(attack, baseline, strict=True):
        yield Contest.of(one, other, members.astype(np.bool_), clusters)
