"""Whether what an attack made up lies nearer to members than to others of the same class."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.permutations import p_value
from auditor.stats.proportions import clopper_pearson

POWER = 0.8
STEPS, DRAWS = 50, 400
AT_ONCE = 4_000_000
TINY = 1e-12
METHOD = "clopper-pearson of the distinct nearest rows"
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Nearness:
    """The nearest rows ``near`` ``[n, k]`` of a pool to each reconstruction, how far ``away``
    ``[n, k]`` each is, and which of the pool's rows ``[p]`` are ``members``, of what ``classes``.
    """

    near: NDArray[np.int32]
    away: NDArray[np.float32]
    members: Flags
    classes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        near: NDArray[np.int32],
        away: NDArray[np.float32],
        members: Flags,
        classes: NDArray[np.int64],
    ) -> "Nearness":
        """Leave out the reconstructions of classes that the pool lacks."""
        kept = near[:, 0] >= 0
        return cls(near[kept], away[kept], members, classes)

    @property
    def distinct(self) -> tuple[int, int]:
        """Return how many rows are nearest to some reconstruction, and how many are members."""
        first = np.unique(self.near[:, 0])
        return len(first), int(self.members[first].sum())

    def advantage(self, confidence: float, family: int) -> Interval:
        """Return the share of members among the nearest rows, less that of others.

        Each row that is nearest to some reconstruction counts once: reconstructions of one class
        that end at one place prove no more than one of them. The intervals of a family hold
        jointly.
        """
        rows, ours = self.distinct
        found = clopper_pearson(ours, rows, 1 - (1 - confidence) / family)
        value, low, high = (2 * it - 1 for it in (found.value, found.low, found.high))
        return Interval(value, low, high, confidence, f"{METHOD}, joint by bonferroni", rows)

    def margin(self, members: Flags) -> Floats:
        """Return ``[rounds]``: how much nearer the nearest member is than the nearest other.

        ``members`` are ``[rounds, p]``. Each reconstruction's difference of both distances over
        their sum, from -1 to 1, on average.
        """
        ours, theirs = (self._first(side) for side in (members, ~members))
        return np.asarray(((theirs - ours) / (theirs + ours + TINY)).mean(axis=1))

    def _first(self, side: Flags) -> Floats:
        """Return ``[rounds, n]``: how far the nearest row of a side is, or the last that is known.

        Where no neighbour is of that side it lies at least as far as the farthest one known.
        """
        there = side[:, np.maximum(self.near, 0)] & (self.near >= 0)
        place = np.where(there.any(axis=2), there.argmax(axis=2), self._last)
        return self.away[np.arange(len(self.near)), place].astype(np.float64)

    @property
    def _last(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = (self.near >= 0).sum(axis=1) - 1
        return found

    def test(self, rounds: int, seed: int) -> "Permuted":
        """Return what the mean margin is, and what it would be by chance alone.

        Members and others of each class change places at random: exact if reconstructions do not
        depend on who of them was a member (Phipson and Smyth 2010).
        """
        rng = np.random.default_rng(seed)
        seen = float(self.margin(self.members[None])[0])
        chances = np.concatenate([self.margin(part) for part in self._shuffled(rounds, rng)])
        return Permuted(self, seen, chances, seed)

    def _shuffled(self, rounds: int, rng: np.random.Generator) -> Iterator[Flags]:
        groups = [np.flatnonzero(self.classes == one) for one in np.unique(self.classes)]
        size = self._at_once
        for start in range(0, rounds, size):
            count = min(size, rounds - start)
            mixed = np.empty((count, len(self.members)), dtype=np.bool_)
            for group in groups:
                own = np.broadcast_to(self.members[group], (count, len(group)))
                mixed[:, group] = rng.permuted(own, axis=1)
            yield mixed

    def leaning(self, advantage: float, rounds: int, seed: int) -> Floats:
        """Return margins ``[rounds]`` of members who are drawn with an advantage: each row that is
        nearest to some reconstruction is one with the chance ``(1 + advantage) / 2``, and the rest
        of each class's members are any others of the class.
        """
        rng = np.random.default_rng([seed, 1])
        rank = rng.random((rounds, len(self.members)))
        first = np.unique(self.near[:, 0])
        rank[:, first] = np.where(rank[:, first] < (1 + advantage) / 2, -1.0, 2.0)
        drawn = np.zeros(rank.shape, dtype=np.bool_)
        for one in np.unique(self.classes):
            group = np.flatnonzero(self.classes == one)
            count = int(self.members[group].sum())
            chosen = group[rank[:, group].argsort(axis=1, kind="stable")[:, :count]]
            np.put_along_axis(drawn, chosen, values=True, axis=1)
        size = self._at_once
        parts = [self.margin(drawn[at : at + size]) for at in range(0, rounds, size)]
        return np.concatenate(parts)

    @property
    def _at_once(self) -> int:
        return max(1, AT_ONCE // max(1, self.near.size, self.members.size))

    def details(self) -> dict[str, Json]:
        """Return the distances that the figure comes from, on average."""
        if not len(self.near):
            return {}
        ours, theirs = (self._first(side[None]).mean() for side in (self.members, ~self.members))
        return {
            "nearest_member": float(ours),
            "nearest_other": float(theirs),
            "reconstructions": len(self.near),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Permuted:
    """The mean margin that was ``seen`` of a ``nearness``, and ``chances`` ``[rounds]`` of it."""

    nearness: Nearness
    seen: float
    chances: Floats
    seed: int

    @property
    def nearer(self) -> float:
        """The p-value that reconstructions are nearer to members by chance alone."""
        return p_value(self.seen, self.chances)

    @property
    def farther(self) -> float:
        """The p-value that they are farther by chance alone."""
        return p_value(-self.seen, -self.chances)

    def smallest(self, level: float) -> float:
        """Return the least advantage that this test shows at ``level`` four times in five, in
        steps of 0.02; 1 where none is.

        By drawing members with that advantage and holding their margin against the same chances.
        """
        most = int(np.floor(level * (len(self.chances) + 1) + TINY)) - 1
        if most < 0:
            return 1.0
        limit = np.sort(self.chances)[::-1][min(most, len(self.chances) - 1)]
        low, high = 0, STEPS
        while low + 1 < high:  # the power grows with the advantage
            middle = (low + high) // 2
            margins = self.nearness.leaning(middle / STEPS, DRAWS, self.seed)
            low, high = (low, middle) if (margins > limit).mean() >= POWER else (middle, high)
        return high / STEPS
