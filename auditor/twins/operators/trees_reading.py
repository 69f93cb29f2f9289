"""The trees of ai.onnx.ml as arrays: nodes that ask, leaves that vote, from either spelling."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from auditor.twins.graphs import Attributes

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
class Questions:
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
class Votes:
    """What leaves vote: ``[nodes, most]`` targets and weights in order, ``given`` where set."""

    target: Integers
    weight: Reals
    given: Flags


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees by their roots; nodes are rows of ``questions`` and ``votes``."""

    roots: Integers
    questions: Questions
    votes: Votes


def reals(attributes: Attributes, name: str) -> Reals:
    """Return a list of numbers in the precision that the model keeps them in."""
    tensor = attributes.tensor(f"{name}_as_tensor")
    if tensor is None:
        return np.array(attributes.numbers(name), dtype=np.float32)
    return tensor.astype(np.float64 if tensor.dtype == np.float64 else np.float32)


def read_by_ids(attributes: Attributes, votes: str) -> Trees:
    """Read ``TreeEnsembleClassifier`` and ``TreeEnsembleRegressor``, whose nodes have ids.

    ``votes`` is ``class`` or ``target``. As in ONNX Runtime a tree begins where its id first
    stands, and only leaves vote. Raises ``ValueError`` for ids that lead nowhere.
    """
    trees = np.array(attributes.integers("nodes_treeids"), dtype=np.int64)
    nodes = np.array(attributes.integers("nodes_nodeids"), dtype=np.int64)
    mode = _modes(attributes)
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
        reals(attributes, "nodes_values"),
        np.zeros((len(keys), 0)),
        _tracks(attributes, len(keys)),
        (children[0], children[1]),
    )
    voters = np.array(attributes.integers(f"{votes}_treeids"), dtype=np.int64) * width
    at = _places(keys, voters + np.array(attributes.integers(f"{votes}_nodeids"), dtype=np.int64))
    first = np.flatnonzero(np.diff(trees, prepend=trees[0] - 1))
    targets = np.array(attributes.integers(f"{votes}_ids"), dtype=np.int64)
    weights = reals(attributes, f"{votes}_weights")
    return Trees(first, questions, _votes(at, targets, weights, leaf))


def read_by_places(attributes: Attributes) -> Trees:
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
    return Trees(roots, questions, _votes(behind, targets, weights, questions.leaf))


def _tensor(attributes: Attributes, name: str) -> Reals:
    found = attributes.tensor(name)
    if found is None:
        message = f"there is no {name}"
        raise ValueError(message)
    return found.astype(np.float64 if found.dtype == np.float64 else np.float32)


def _then_zeros(values: NDArray[T], count: int) -> NDArray[T]:
    return np.concatenate([values, np.zeros(count, dtype=values.dtype)])


def _modes(attributes: Attributes) -> Integers:
    names = attributes.values.get("nodes_modes", ())
    spelt, index = np.unique(np.array(names, dtype="S20"), return_inverse=True)
    unknown = [name.decode() for name in spelt if name.decode() not in MODES]
    if unknown:
        message = f"a node has the mode {unknown[0]}"
        raise ValueError(message)
    return np.array([MODES.index(name.decode()) for name in spelt], dtype=np.int64)[index]


def _tracks(attributes: Attributes, count: int) -> Flags:
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


def _members(attributes: Attributes, mode: Integers, leaves: int) -> Reals:
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
) -> Questions:
    """Ask everything as "at most" or "one of", with the two answers exchanged where needed."""
    below = np.nextafter(threshold, np.array(-np.inf, dtype=threshold.dtype))
    exchanged = np.isin(mode, (GTE, GT, NEQ))
    alone = np.where(np.isin(mode, (EQ, NEQ)), threshold, np.nan).astype(np.float64)
    yes, no = children
    asked = Questions(
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


def _votes(at: Integers, target: Integers, weight: Reals, leaf: Flags) -> Votes:
    keep = leaf[at]
    order = np.argsort(at[keep], kind="stable")
    at, target, weight = at[keep][order], target[keep][order], weight[keep][order]
    starts = np.searchsorted(at, at)
    column = np.arange(len(at)) - starts
    shape = (len(leaf), int(column.max(initial=0)) + 1)
    targets, weights = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=weight.dtype)
    given = np.zeros(shape, dtype=np.bool_)
    targets[at, column], weights[at, column], given[at, column] = target, weight, True
    return Votes(targets, weights, given)
