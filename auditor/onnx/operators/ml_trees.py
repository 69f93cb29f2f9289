"""The slope of trees, as if each node sent a row both ways, in shares that change smoothly.

A node that asks ``x <= t`` sends the share ``sigmoid((t - x) / width)`` one way and the rest the
other way (Irsoy, Yildiz and Alpaydin, "Soft decision trees", ICPR 2012), where ``width`` is a part
of how far the thresholds of that column lie apart in the whole forest. A node that asks
``x == t`` sends the bump ``4 s (1 - s)`` of the same sigmoid ``s``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.twins.operators.trees_reading import Flags, Integers, Trees, Votes

WIDTH = 0.25
"""The width of a node's sigmoid, in standard deviations of its column's thresholds."""
NOTHING = 1e-12
"""Spreads and thresholds below this count as 0: "less than 0" is kept as "at most -1e-45"."""
NODES_AT_ONCE = 2048
MOST_COPIES = 64
"""How often nodes may be reached over several ways, in the mean, before trees are refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The nodes of one depth: ``[start, stop)`` of those that ask, their places among all."""

    start: int
    stop: int
    asking: Tensor
    leaves: Tensor
    first_leaf: int


@dataclass(frozen=True, slots=True, eq=False)
class Grove:
    """Some trees of a forest, level by level; small enough for its numbers to stay in cache.

    ``weight`` is ``[leaves, targets]``, or ``[leaves, 1]`` where each leaf votes for one target,
    ``voted``.
    """

    levels: tuple[Level, ...]
    feature: Tensor
    threshold: Tensor
    steepness: Tensor
    nan_yes: Tensor
    sets: Tensor
    members: Tensor
    columns: Tensor
    weight: Tensor
    voted: Tensor | None

    def slope(self, x: Tensor, pulled: Tensor) -> Tensor:
        """Return ``[columns, n]`` slopes of ``sum(pulled * votes)``; all tensors have rows last."""
        share, change = self._shares(x)
        wanted = self.weight @ pulled if self.voted is None else self.weight * pulled[self.voted]
        reach = [torch.ones(self.levels[0].stop, x.shape[1])]
        for level, below in zip(self.levels[:-1], self.levels[1:], strict=True):
            yes = reach[-1] * share[level.start : level.stop]
            reach.append(torch.cat([yes, reach[-1] - yes]).index_select(0, below.asking))
        value, differences = torch.empty(0, x.shape[1]), list[Tensor]()
        for above, level in zip(self.levels[-2::-1], self.levels[:0:-1], strict=True):
            value, difference = self._up(above, level, value, share, wanted)
            differences.append(difference)
        if not differences:
            return torch.zeros(self.columns.shape[0], x.shape[1])
        change *= torch.cat(differences[::-1])
        change *= torch.cat(reach[: len(differences)])
        found: Tensor = torch.sparse.mm(self.columns, change)
        return found

    @staticmethod
    def _up(
        above: Level, level: Level, value: Tensor, share: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what nodes of the level above are worth, and by how much yes is worth more."""
        both = torch.empty(len(level.asking) + len(level.leaves), share.shape[1])
        both.index_copy_(0, level.asking, value)
        both.index_copy_(0, level.leaves, wanted[level.first_leaf :][: len(level.leaves)])
        yes, no = both.chunk(2)
        difference = yes - no
        return torch.addcmul(no, share[above.start : above.stop], difference), difference

    def _shares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``[nodes, n]`` shares that go to yes, and their change with the column."""
        value = x.index_select(0, self.feature)
        threshold = self.threshold
        if len(self.sets):
            threshold = threshold.expand_as(value).clone()
            away = (value[self.sets].unsqueeze(-1) - self.members.unsqueeze(1)).abs()
            near = torch.nan_to_num(away, nan=torch.inf).argmin(-1)
            threshold[self.sets] = self.members.gather(1, near)
        share = torch.sigmoid((threshold - value).mul_(self.steepness))
        change = (share * share).sub_(share).mul_(self.steepness)
        if len(self.sets):
            part = share[self.sets]
            change[self.sets] *= 4 * (1 - 2 * part)
            share[self.sets] = 4 * part * (1 - part)
        holes = torch.isnan(value)
        if bool(holes.any()):
            share = torch.where(holes, self.nan_yes, share)
            change = change.masked_fill_(holes, 0.0)
        return share, change


def widths(trees: Trees, columns: int) -> NDArray[np.float32]:
    """Return one width a column: a part of the spread of its thresholds in the forest.

    A column with one threshold takes the median width of the others, and where there is none, the
    size of that threshold, or 1 for a threshold of 0.
    """
    asked = trees.questions
    used = ~asked.leaf & ~asked.asks_set & np.isfinite(asked.threshold)
    members = np.nonzero(np.isfinite(asked.members) & ~asked.leaf[:, None])
    feature = np.concatenate([asked.feature[used], asked.feature[members[0]]])
    value = np.concatenate([asked.threshold[used], asked.members[members]]).astype(np.float64)
    count = np.maximum(np.bincount(feature, minlength=columns), 1)
    mean = np.bincount(feature, value, columns) / count
    size = np.sqrt(np.bincount(feature, value**2, columns) / count)
    spread = np.sqrt(np.bincount(feature, (value - mean[feature]) ** 2, columns) / count)
    several = spread > np.maximum(1e-6 * size, NOTHING)
    alone = float(np.median(spread[several])) if several.any() else 0.0
    fallback = np.where(size > NOTHING, size, 1.0) if alone == 0 else np.full(columns, alone)
    return (WIDTH * np.where(several, spread, fallback)).astype(np.float32)


def make_groves(trees: Trees, targets: int, columns: int) -> tuple[Grove, ...]:
    """Return a forest in parts. Raises ``ValueError`` for trees that run in circles."""
    width = widths(trees, columns)
    mean = max(1, len(trees.questions.leaf) // len(trees.roots))
    together = max(1, NODES_AT_ONCE // mean)
    parts = np.split(trees.roots, range(together, len(trees.roots), together))
    return tuple(_make_grove(trees, _levels(trees, roots), targets, width) for roots in parts)


def _levels(trees: Trees, roots: Integers) -> list[Integers]:
    """Return nodes by depth: below each level come all that yes leads to, then all of no."""
    asked = trees.questions
    levels, reached = [roots], len(roots)
    while True:
        asking = levels[-1][~asked.leaf[levels[-1]]]
        if not len(asking):
            return levels
        levels.append(np.concatenate([asked.yes[asking], asked.no[asking]]))
        reached += len(levels[-1])
        if reached > MOST_COPIES * (len(asked.leaf) + 1):
            message = "a tree runs in circles"
            raise ValueError(message)


def _make_grove(
    trees: Trees, nodes: list[Integers], targets: int, width: NDArray[np.float32]
) -> Grove:
    asked = trees.questions
    inner = np.concatenate([level[~asked.leaf[level]] for level in nodes])
    outer = np.concatenate([level[asked.leaf[level]] for level in nodes])
    feature, sets = asked.feature[inner], np.flatnonzero(asked.asks_set[inner])
    weight, voted = _weights(trees.votes, outer, targets)
    return Grove(
        levels=tuple(_places([asked.leaf[level] for level in nodes])),
        feature=torch.from_numpy(feature),
        threshold=torch.from_numpy(asked.threshold[inner].astype(np.float32))[:, None],
        steepness=torch.from_numpy(1 / width[feature])[:, None],
        nan_yes=torch.from_numpy(asked.nan_yes[inner].astype(np.float32))[:, None],
        sets=torch.from_numpy(sets),
        members=torch.from_numpy(asked.members[inner[sets]].astype(np.float32)),
        columns=_indicator(feature, len(width)),
        weight=weight,
        voted=voted,
    )


def _places(leaf: list[Flags]) -> Iterator[Level]:
    start = leaves = 0
    for flags in leaf:
        asking = torch.from_numpy(np.flatnonzero(~flags))
        resting = torch.from_numpy(np.flatnonzero(flags))
        yield Level(start, start + len(asking), asking, resting, leaves)
        start, leaves = start + len(asking), leaves + len(resting)


def _weights(votes: Votes, leaves: Integers, targets: int) -> tuple[Tensor, Tensor | None]:
    """Return the leaves' weights, and their targets where each votes for one alone."""
    weight, target = votes.weight[leaves].astype(np.float32), votes.target[leaves]
    if target.shape[1] == 1:
        return torch.from_numpy(weight), torch.from_numpy(target[:, 0])
    full = np.zeros((len(leaves), targets), dtype=np.float32)
    np.add.at(full, (np.arange(len(leaves))[:, None], target), weight)
    return torch.from_numpy(full), None


def _indicator(feature: Integers, columns: int) -> Tensor:
    """Return the sparse ``[columns, nodes]`` that adds nodes up by the column that they ask."""
    at = torch.from_numpy(np.stack([feature, np.arange(len(feature))]))
    size = (columns, len(feature))
    made = torch.sparse_coo_tensor(at, torch.ones(len(feature)), size, check_invariants=False)
    return made.coalesce()
