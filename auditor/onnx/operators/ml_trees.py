"""Tree ensembles of ai.onnx.ml: exact outputs with smooth surrogate gradients.

The gradient treats each node as if it sent a row both ways, in shares that change smoothly. A node
that tests ``x <= t`` sends the share ``sigmoid((t - x) / width)`` one way and the rest the other
way (Irsoy, Yildiz and Alpaydin, "Soft decision trees", ICPR 2012), where ``width`` is a fraction of
the spread of that column's thresholds in the whole forest. A node that tests ``x == t`` sends the
bump ``4 s (1 - s)`` of the same sigmoid ``s``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_prepared
from auditor.onnx.operators.ml_linear import (
    apply_post_transform,
    class_count,
    labels_at,
    wants_logarithm,
)

Integers = NDArray[np.int64]
Reals = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)
MODES = (
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
    "BRANCH_MEMBER",
    "LEAF",
)
LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF = range(len(MODES))


@dataclass(frozen=True, slots=True)
class NodeSplits:
    """What nodes ask, one entry a node: is the column at most a number, or one of several.

    ``asks_set`` says which of the two; ``members`` holds the numbers asked for, filled with NaN;
    ``nan_yes`` says where NaN goes. Leaves are their own ``yes`` and ``no``.
    """

    leaf: Flags
    feature: Integers
    threshold: Reals
    asks_set: Flags
    members: Reals
    nan_yes: Flags
    yes: Integers
    no: Integers


@dataclass(frozen=True, slots=True)
class LeafVotes:
    """What leaves vote: ``[nodes, most]`` targets and weights in order, ``given`` where set."""

    target: Integers
    weight: Reals
    given: Flags


@dataclass(frozen=True, slots=True)
class TreeArrays:
    """Trees by their roots; nodes are rows of ``questions`` and ``votes``."""

    roots: Integers
    questions: NodeSplits
    votes: LeafVotes


def read_reals(attributes: NodeAttributes, name: str) -> Reals:
    """Return a list of numbers in the precision that the model keeps them in."""
    tensor = attributes.tensor(f"{name}_as_tensor")
    if tensor is None:
        return np.array(attributes.numbers(name), dtype=np.float32)
    return tensor.astype(np.float64 if tensor.dtype == np.float64 else np.float32)


def read_by_ids(attributes: NodeAttributes, votes: str) -> TreeArrays:
    """Read ``TreeEnsembleClassifier`` and ``TreeEnsembleRegressor``, whose nodes have ids.

    ``votes`` is ``class`` or ``target``. As in ONNX Runtime a tree begins where its id first
    stands, and only leaves vote. Raises ``ValueError`` for ids that lead nowhere.
    """
    trees = np.array(attributes.integers("nodes_treeids"), dtype=np.int64)
    nodes = np.array(attributes.integers("nodes_nodeids"), dtype=np.int64)
    names = attributes.values.get("nodes_modes", ())
    spelt, index = np.unique(np.array(names, dtype="S20"), return_inverse=True)
    unknown = [name.decode() for name in spelt if name.decode() not in MODES]
    if unknown:
        message = f"a node has the mode {unknown[0]}"
        raise ValueError(message)
    mode = np.array([MODES.index(name.decode()) for name in spelt], dtype=np.int64)[index]
    width = int(nodes.max(initial=0)) + 1
    keys = trees * width + nodes
    leaf = mode == LEAF
    own = np.arange(len(keys))
    children = [
        np.where(leaf, own, _places(keys, np.where(leaf, keys, trees * width + ids)))
        for name in ("nodes_truenodeids", "nodes_falsenodeids")
        for ids in [np.array(attributes.integers(name), dtype=np.int64)]
    ]
    questions = _questions(
        mode,
        np.array(attributes.integers("nodes_featureids"), dtype=np.int64),
        read_reals(attributes, "nodes_values"),
        np.zeros((len(keys), 0)),
        _tracks(attributes, len(keys)),
        (children[0], children[1]),
    )
    voters = np.array(attributes.integers(f"{votes}_treeids"), dtype=np.int64) * width
    at = _places(keys, voters + np.array(attributes.integers(f"{votes}_nodeids"), dtype=np.int64))
    first = np.flatnonzero(np.diff(trees, prepend=trees[0] - 1))
    targets = np.array(attributes.integers(f"{votes}_ids"), dtype=np.int64)
    weights = read_reals(attributes, f"{votes}_weights")
    return TreeArrays(first, questions, _votes(at, targets, weights, leaf))


def read_by_places(attributes: NodeAttributes) -> TreeArrays:
    """Read ``TreeEnsemble``, whose nodes and leaves refer to each other by place."""
    mode = _tensor(attributes, "nodes_modes").astype(np.int64)
    weights = _tensor(attributes, "leaf_weights")
    splits = _tensor(attributes, "nodes_splits")
    leaves, nodes = len(weights), len(mode)
    both = [
        np.where(at_leaf != 0, nodes + child, child)
        for side in ("true", "false")
        for child in [np.array(attributes.integers(f"nodes_{side}nodeids"), dtype=np.int64)]
        for at_leaf in [np.array(attributes.integers(f"nodes_{side}leafs"), dtype=np.int64)]
    ]
    behind = np.arange(nodes, nodes + leaves)
    questions = _questions(
        np.concatenate([mode, np.full(leaves, LEAF)]),
        _then_zeros(np.array(attributes.integers("nodes_featureids"), dtype=np.int64), leaves),
        _then_zeros(splits, leaves),
        _members(attributes, mode, leaves),
        _then_zeros(_tracks(attributes, nodes), leaves),
        (np.concatenate([both[0], behind]), np.concatenate([both[1], behind])),
    )
    roots = np.array(attributes.integers("tree_roots"), dtype=np.int64)
    targets = np.array(attributes.integers("leaf_targetids"), dtype=np.int64)
    return TreeArrays(roots, questions, _votes(behind, targets, weights, questions.leaf))


def _tensor(attributes: NodeAttributes, name: str) -> Reals:
    found = attributes.tensor(name)
    if found is None:
        message = f"there is no {name}"
        raise ValueError(message)
    return found.astype(np.float64 if found.dtype == np.float64 else np.float32)


def _then_zeros(values: NDArray[T], count: int) -> NDArray[T]:
    return np.concatenate([values, np.zeros(count, dtype=values.dtype)])


def _tracks(attributes: NodeAttributes, count: int) -> Flags:
    given = np.array(attributes.integers("nodes_missing_value_tracks_true"), dtype=np.int64)[:count]
    return np.concatenate([given == 1, np.zeros(count - len(given), dtype=np.bool_)])


def _places(keys: Integers, wanted: Integers) -> Integers:
    order = np.argsort(keys, kind="stable")
    found = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    places = order[found]
    if (keys[places] != wanted).any():
        message = "a tree refers to a node that it does not have"
        raise ValueError(message)
    return places


def _members(attributes: NodeAttributes, mode: Integers, leaves: int) -> Reals:
    listed = attributes.tensor("membership_values")
    values = np.zeros(0) if listed is None else listed.astype(np.float64)
    parts = np.split(values, np.flatnonzero(np.isnan(values)))
    sets = [part[~np.isnan(part)] for part in parts]
    asking = np.flatnonzero(mode == MEMBER)
    made = np.full((len(mode) + leaves, max((len(part) for part in sets), default=0)), np.nan)
    for row, part in zip(asking, sets, strict=False):
        made[row, : len(part)] = part
    return made


def _questions(  # noqa: PLR0913, PLR0917 -- the columns of a table
    mode: Integers,
    feature: Integers,
    threshold: Reals,
    members: Reals,
    tracks: Flags,
    children: tuple[Integers, Integers],
) -> NodeSplits:
    """Ask everything as "at most" or "one of", with the two answers exchanged where needed."""
    below = np.nextafter(threshold, np.array(-np.inf, dtype=threshold.dtype))
    exchanged = np.isin(mode, (GTE, GT, NEQ))
    alone = np.where(np.isin(mode, (EQ, NEQ)), threshold, np.nan).astype(np.float64)
    yes, no = children
    asked = NodeSplits(
        leaf=mode == LEAF,
        feature=np.where(mode == LEAF, 0, feature),
        threshold=np.where(np.isin(mode, (LT, GTE)), below, threshold),
        asks_set=np.isin(mode, (EQ, NEQ, MEMBER)),
        members=np.concatenate([alone[:, None], members], axis=1),
        # Every comparison with NaN is false but "not equal", which is true.
        nan_yes=(tracks | (mode == NEQ)) ^ exchanged,
        yes=np.where(exchanged, no, yes),
        no=np.where(exchanged, yes, no),
    )
    return asked if asked.asks_set.any() else replace(asked, members=asked.members[:, :0])


def _votes(at: Integers, target: Integers, weight: Reals, leaf: Flags) -> LeafVotes:
    keep = leaf[at]
    order = np.argsort(at[keep], kind="stable")
    at, target, weight = at[keep][order], target[keep][order], weight[keep][order]
    starts = np.searchsorted(at, at)
    column = np.arange(len(at)) - starts
    shape = (len(leaf), int(column.max(initial=0)) + 1)
    targets, weights = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=weight.dtype)
    given = np.zeros(shape, dtype=np.bool_)
    targets[at, column], weights[at, column], given[at, column] = target, weight, True
    return LeafVotes(targets, weights, given)


WIDTH = 0.25
"""The width of a node's sigmoid, in standard deviations of its column's thresholds."""
NOTHING = 1e-12
"""Spreads and thresholds below this count as 0: "less than 0" is kept as "at most -1e-45"."""
NODES_AT_ONCE = 2048
MOST_COPIES = 64
"""How often nodes may be reached over several ways, in the mean, before trees are refused."""


@dataclass(frozen=True, slots=True, eq=False)
class TreeLevel:
    """The nodes of one depth: ``[start, stop)`` of those that ask, their places among all."""

    start: int
    stop: int
    asking: Tensor
    leaves: Tensor
    first_leaf: int


@dataclass(frozen=True, slots=True, eq=False)
class TreeBlock:
    """Some trees of a forest, level by level; small enough for its numbers to stay in cache.

    ``weight`` is ``[leaves, targets]``, or ``[leaves, 1]`` where each leaf votes for one target,
    ``voted``.
    """

    levels: tuple[TreeLevel, ...]
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
        # `[nodes, n]` shares that go to yes, and their change with the column
        shares_value = x.index_select(0, self.feature)
        threshold = self.threshold
        if len(self.sets):
            threshold = threshold.expand_as(shares_value).clone()
            away = (shares_value[self.sets].unsqueeze(-1) - self.members.unsqueeze(1)).abs()
            near = torch.nan_to_num(away, nan=torch.inf).argmin(-1)
            threshold[self.sets] = self.members.gather(1, near)
        share = torch.sigmoid((threshold - shares_value).mul_(self.steepness))
        change = (share * share).sub_(share).mul_(self.steepness)
        if len(self.sets):
            part = share[self.sets]
            change[self.sets] *= 4 * (1 - 2 * part)
            share[self.sets] = 4 * part * (1 - part)
        holes = torch.isnan(shares_value)
        if bool(holes.any()):
            share = torch.where(holes, self.nan_yes, share)
            change = change.masked_fill_(holes, 0.0)
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
        above: TreeLevel, level: TreeLevel, value: Tensor, share: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what nodes of the level above are worth, and by how much yes is worth more."""
        both = torch.empty(len(level.asking) + len(level.leaves), share.shape[1])
        both.index_copy_(0, level.asking, value)
        both.index_copy_(0, level.leaves, wanted[level.first_leaf :][: len(level.leaves)])
        yes, no = both.chunk(2)
        difference = yes - no
        return torch.addcmul(no, share[above.start : above.stop], difference), difference


def column_widths(trees: TreeArrays, columns: int) -> NDArray[np.float32]:
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


def make_tree_blocks(trees: TreeArrays, targets: int, columns: int) -> tuple[TreeBlock, ...]:
    """Return a forest in parts. Raises ``ValueError`` for trees that run in circles."""
    width = column_widths(trees, columns)
    mean = max(1, len(trees.questions.leaf) // len(trees.roots))
    together = max(1, NODES_AT_ONCE // mean)
    parts = np.split(trees.roots, range(together, len(trees.roots), together))
    return tuple(_make_grove(trees, _levels(trees, roots), targets, width) for roots in parts)


def _levels(trees: TreeArrays, roots: Integers) -> list[Integers]:
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
    trees: TreeArrays, nodes: list[Integers], targets: int, width: NDArray[np.float32]
) -> TreeBlock:
    asked = trees.questions
    inner = np.concatenate([level[~asked.leaf[level]] for level in nodes])
    outer = np.concatenate([level[asked.leaf[level]] for level in nodes])
    feature, sets = asked.feature[inner], np.flatnonzero(asked.asks_set[inner])
    # The leaves' weights, and their targets where each votes for one alone
    weights_weight, target = trees.votes.weight[outer].astype(np.float32), trees.votes.target[outer]
    if target.shape[1] == 1:
        weight, voted = torch.from_numpy(weights_weight), torch.from_numpy(target[:, 0])
    else:
        full = np.zeros((len(outer), targets), dtype=np.float32)
        np.add.at(full, (np.arange(len(outer))[:, None], target), weights_weight)
        weight, voted = torch.from_numpy(full), None
    at = torch.from_numpy(np.stack([feature, np.arange(len(feature))]))
    size = (len(width), len(feature))
    made = torch.sparse_coo_tensor(at, torch.ones(len(feature)), size, check_invariants=False)
    slopes = []
    start = leaves = 0
    for flags in [asked.leaf[level] for level in nodes]:
        asking = torch.from_numpy(np.flatnonzero(~flags))
        resting = torch.from_numpy(np.flatnonzero(flags))
        slopes.append(TreeLevel(start, start + len(asking), asking, resting, leaves))
        start, leaves = start + len(asking), leaves + len(resting)
    return TreeBlock(
        levels=tuple(slopes),
        feature=torch.from_numpy(feature),
        threshold=torch.from_numpy(asked.threshold[inner].astype(np.float32))[:, None],
        steepness=torch.from_numpy(1 / width[feature])[:, None],
        nan_yes=torch.from_numpy(asked.nan_yes[inner].astype(np.float32))[:, None],
        sets=torch.from_numpy(sets),
        members=torch.from_numpy(asked.members[inner[sets]].astype(np.float32)),
        columns=made.coalesce(),
        weight=weight,
        voted=voted,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TreeWalk:
    """Trees as tensors, for rows that go one way at each node."""

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    children: Tensor
    nan_yes: Tensor
    asks_set: Tensor
    members: Tensor
    target: Tensor
    weight: Tensor
    covers: Tensor
    depth: int
    targets: int

    def leaves(self, x: Tensor) -> Tensor:
        """Return ``[n, trees]`` leaves, by comparisons as exact as the thresholds are."""
        at = self.roots.expand(len(x), -1)
        wide = x.to(torch.promote_types(x.dtype, self.threshold.dtype))
        holes = bool(torch.isnan(wide).any())
        for _ in range(self.depth):
            value = wide.gather(1, self.feature[at])
            yes = value <= self.threshold[at]
            if self.members.shape[1]:
                inside = (value.double().unsqueeze(-1) == self.members[at]).any(-1)
                yes = torch.where(self.asks_set[at], inside, yes)
            if holes:
                yes = torch.where(torch.isnan(value), self.nan_yes[at], yes)
            at = self.children[2 * at + yes]
        return at

    def votes(self, leaves: Tensor) -> Tensor:
        """Return ``[n, targets]`` sums of votes, added tree by tree as ONNX Runtime does."""
        sums = torch.zeros(len(leaves), self.targets, dtype=self.weight.dtype)
        for leaf in leaves.t():
            sums.scatter_add_(1, self.target[leaf], self.weight[leaf])
        return sums

    def voted(self, leaves: Tensor) -> Tensor:
        """Say ``[n, targets]`` for which targets a leaf on the way votes, be it for 0."""
        if bool(self.covers.all()):
            return torch.ones(len(leaves), self.targets, dtype=torch.bool)
        found = torch.zeros(len(leaves), self.targets, dtype=torch.bool)
        for leaf in leaves.t():
            found |= self.covers[leaf]
        return found


def make_tree_walk(trees: TreeArrays, targets: int, depth: int) -> TreeWalk:
    """Return trees ready to be walked. Raises ``ValueError`` for a vote for no target."""
    asked, votes = trees.questions, trees.votes
    outside = (votes.target < 0) | (votes.target >= targets)
    if outside[votes.given].any():
        message = f"a leaf votes for a target that is none of the {targets}"
        raise ValueError(message)
    covers = np.zeros((len(asked.leaf), targets), dtype=np.bool_)
    rows, columns = np.nonzero(votes.given)
    covers[rows, votes.target[rows, columns]] = True
    covers[~asked.leaf] = covers[asked.leaf].all(axis=0)
    return TreeWalk(
        roots=torch.from_numpy(trees.roots),
        feature=torch.from_numpy(asked.feature),
        threshold=torch.from_numpy(asked.threshold),
        children=torch.from_numpy(np.stack([asked.no, asked.yes], axis=1).reshape(-1)),
        nan_yes=torch.from_numpy(asked.nan_yes),
        asks_set=torch.from_numpy(asked.asks_set),
        members=torch.from_numpy(asked.members),
        target=torch.from_numpy(votes.target),
        weight=torch.from_numpy(votes.weight),
        covers=torch.from_numpy(covers),
        depth=depth,
        targets=targets,
    )


ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class DifferentiableForest:
    """Trees whose votes are summed; only the first ``columns`` of a row are asked for."""

    walk: TreeWalk
    groves: tuple[TreeBlock, ...]
    columns: int

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``[n, targets]`` sums, and which of them got a vote at all."""
        sums, voted = _VoteSums.apply(x, self)  # type: ignore[no-untyped-call]  # as torch has it
        return sums, voted

    def slope(self, x: Tensor, pulled: Tensor) -> Tensor:
        """Return the ``[n, features]`` slopes of ``sum(pulled * sums)``."""
        found = torch.zeros_like(x)
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            values = x[rows, : self.columns].t().to(torch.float32).contiguous()
            wanted = pulled[rows].to(torch.float32).t().contiguous()
            total = torch.zeros_like(values)
            for grove in self.groves:
                total += grove.slope(values, wanted)
            found[rows, : self.columns] = total.t()
        return found


def make_forest(trees: TreeArrays, targets: int) -> DifferentiableForest:
    """Return trees ready to run. Raises ``ValueError`` where they are broken."""
    columns = int(trees.questions.feature.max(initial=0)) + 1
    groves = make_tree_blocks(trees, targets, columns)
    depth = max(len(grove.levels) for grove in groves) - 1
    return DifferentiableForest(make_tree_walk(trees, targets, depth), groves, columns)


class _VoteSums(torch.autograd.Function):
    """Sums of votes: forward as the trees stand, backward as if each node were a sigmoid."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forest: DifferentiableForest) -> tuple[Tensor, Tensor]:  # noqa: ANN401 -- torch's own context
        leaves = forest.walk.leaves(x)
        ctx.save_for_backward(x)
        ctx.forest = forest
        sums, voted = forest.walk.votes(leaves), forest.walk.voted(leaves)
        ctx.mark_non_differentiable(voted)
        return sums, voted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pulled: Tensor, _: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 -- torch's own context
        (x,) = ctx.saved_tensors
        return ctx.forest.slope(x, pulled), None


@dataclass(frozen=True, slots=True, eq=False)
class BinaryScoreRules:
    """The rules for two classes, where leaves may vote for one of them alone.

    ``one_sided``: all votes go to one class. ``shares``: and none of them is negative, so that a
    sum is a share of votes, decided at a half; else it is a margin, decided at 0.
    """

    base: Tensor
    transform: str
    one_sided: bool
    shares: bool

    @staticmethod
    def of(attributes: NodeAttributes, base: Tensor, transform: str) -> "BinaryScoreRules":
        """Read the rules off a classifier's attributes.

        Raises ``ValueError`` where ONNX Runtime leaves one of the two scores unset.
        """
        weights = read_reals(attributes, "class_weights")
        one_sided = len(set(attributes.integers("class_ids"))) == 1
        if transform == "PROBIT" and one_sided and len(base) < 2:  # noqa: PLR2004 -- one a class
            message = "ONNX Runtime makes no second score out of one PROBIT"
            raise ValueError(message)
        return BinaryScoreRules(base, transform, one_sided, bool((weights >= 0).all()))

    def scores(self, sums: Tensor, voted: Tensor, *, logarithm: bool) -> tuple[Tensor, Tensor]:
        """Return the better class's place and ``[n, 2]`` scores of ``[n, 2]`` sums.

        A class without a vote has the score 0, whatever its base value.
        """
        second = voted[:, 1:]
        pair = torch.where(voted, self._pair(sums, second), 0.0)
        both = apply_post_transform(pair, self.transform, logarithm=logarithm)
        decisive = torch.where(second, pair[:, 1:], pair[:, :1])[:, 0]
        if len(self.base) < 2:  # noqa: PLR2004 -- one a class
            both = torch.where(second, both, self._single(pair[:, :1], logarithm=logarithm))
        border = 0.5 if self.one_sided and self.shares else 0.0
        return (decisive > border).to(torch.int64), both

    def _pair(self, sums: Tensor, second: Tensor) -> Tensor:
        if len(self.base) == 2:  # noqa: PLR2004 -- one a class
            # Where the second class has votes, the first one's are its margin.
            margin = self.base[1] + sums[:, :1]
            return torch.where(second, torch.cat([-margin, margin], 1), sums + self.base)
        if len(self.base) == 1:
            return torch.cat([sums[:, :1] + self.base, sums[:, 1:]], 1)
        return sums

    def _single(self, margin: Tensor, *, logarithm: bool) -> Tensor:
        if self.transform == "LOGISTIC" or not (self.one_sided and self.shares):
            pair = torch.cat([-margin, margin], 1)
            transform = self.transform if self.transform == "LOGISTIC" else "NONE"
            return apply_post_transform(pair, transform, logarithm=logarithm)
        return apply_post_transform(torch.cat([1 - margin, margin], 1), "NONE", logarithm=logarithm)


ML = "ai.onnx.ml"
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
"""In the order in which ONNX Runtime counts them; the standard counts SOFTMAX before LOGISTIC."""

Scores = Callable[[Tensor], Tensor]
VoteFunction = Callable[[Tensor], tuple[Tensor, Tensor]]


@register_prepared("TreeEnsembleClassifier", domain=ML)
def tree_ensemble_classifier(
    attributes: NodeAttributes,
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return labels and ``[n, classes]`` scores after ``post_transform``."""
    classes = class_count(attributes)
    forest = make_forest(read_by_ids(attributes, "class"), classes)
    base = torch.from_numpy(read_reals(attributes, "base_values"))
    transform = attributes.text("post_transform", "NONE")
    logarithm = wants_logarithm(attributes)
    sides = BinaryScoreRules.of(attributes, base, transform)
    # Of two classes that both get votes, ONNX Runtime gives the places as labels.
    named = classes != 2 or sides.one_sided  # noqa: PLR2004 -- two classes have rules of their own

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        sums, voted = forest(_rows(x))
        if classes == 2:  # noqa: PLR2004 -- two classes have rules of their own
            places, scores = sides.scores(sums, voted, logarithm=logarithm)
        else:
            sums = sums + base if len(base) else sums
            places = torch.where(voted | (len(base) > 0), sums, -torch.inf).argmax(1)
            known = classes > 1 or transform == "PROBIT"
            scores = apply_post_transform(sums, transform if known else "NONE", logarithm=logarithm)
        labels = labels_at(attributes, places) if named else places
        return labels, scores.to(torch.float32)

    return classify


@register_prepared("TreeEnsembleRegressor", domain=ML)
def tree_ensemble_regressor(attributes: NodeAttributes) -> Scores:
    """Return ``[n, targets]`` votes, aggregated."""
    return _regressor(
        read_by_ids(attributes, "target"),
        attributes.integer("n_targets", 1),
        aggregate=attributes.text("aggregate_function", "SUM"),
        base=torch.from_numpy(read_reals(attributes, "base_values")),
        transform=attributes.text("post_transform", "NONE"),
    )


@register_prepared("TreeEnsemble", domain=ML, since=5)
def tree_ensemble(attributes: NodeAttributes) -> Scores:
    """Return ``[n, targets]`` votes, aggregated, of trees whose nodes are counted by place."""
    return _regressor(
        read_by_places(attributes),
        attributes.integer("n_targets", 1),
        aggregate=AGGREGATES[attributes.integer("aggregate_function", 1)],
        base=torch.zeros(0),
        transform=TRANSFORMS[attributes.integer("post_transform")],
    )


def _regressor(
    trees: TreeArrays, targets: int, *, aggregate: str, base: Tensor, transform: str
) -> Scores:
    votes = _aggregated(trees, targets, aggregate)
    # ONNX Runtime gives a single score no other transform than this one.
    transform = transform if targets > 1 or transform == "PROBIT" else "NONE"

    def regress(x: Tensor) -> Tensor:
        scores, voted = votes(_rows(x))
        scores = scores + base if len(base) == targets else scores
        if targets > 1:
            # A target without a vote has the score 0, whatever its base value.
            scores = torch.where(voted, scores, 0.0)
        return apply_post_transform(scores, transform).to(torch.float32)

    return regress


def _aggregated(trees: TreeArrays, targets: int, aggregate: str) -> VoteFunction:
    """Return a function to ``[n, targets]`` votes, and which targets got any."""
    if aggregate in {"MIN", "MAX"}:
        each = [make_forest(replace(trees, roots=root[None]), targets) for root in trees.roots]
        return lambda x: _extreme([tree(x) for tree in each], aggregate)
    if aggregate not in AGGREGATES:
        message = f"the aggregate function {aggregate}"
        raise ValueError(message)
    forest = make_forest(trees, targets)
    if aggregate == "SUM":
        return forest

    def average(x: Tensor) -> tuple[Tensor, Tensor]:
        sums, voted = forest(x)
        return sums / len(trees.roots), voted

    return average


def _extreme(votes: list[tuple[Tensor, Tensor]], aggregate: str) -> tuple[Tensor, Tensor]:
    sign = 1 if aggregate == "MAX" else -1
    cast = torch.stack([voted for _, voted in votes])
    signed = torch.stack([sign * sums for sums, _ in votes])
    best = torch.where(cast, signed, -torch.inf).amax(0)
    return sign * torch.where(cast.any(0), best, 0.0), cast.any(0)


def _rows(x: Tensor) -> Tensor:
    known = x if x.is_floating_point() else x.to(torch.float32)
    return known.reshape(-1, x.shape[-1])
