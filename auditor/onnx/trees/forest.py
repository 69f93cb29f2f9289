"""Tree ensembles of an ONNX file as plain arrays: nodes, leaves, and how their sums decide."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.targets import Interface
from auditor.domain.tasks import Floats
from auditor.errors import TwinError
from auditor.twins.ensembles.columns import Column, columns_of
from auditor.twins.graphs import Attributes, Graph, Node, load_graph
from auditor.twins.heads import ML, Finish
from auditor.twins.leads import CURE, Rule, check_rule
from auditor.twins.scores import find_scores

TREES = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor"})
PASSING = frozenset({"Identity", "Cast", "Reshape"})
LEAF = -1


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees side by side: row ``k`` of each array is one node of some tree.

    A node goes ``left`` where ``columns[feature]`` does not exceed ``threshold``, else ``right``;
    a leaf has the feature -1 and ``values`` ``[nodes, scores]``. ``tree`` numbers each node's tree,
    ``roots`` are where these begin, ``base`` is what is added to the sums.
    """

    columns: tuple[Column, ...]
    feature: NDArray[np.int64]
    threshold: NDArray[Any]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Floats
    tree: NDArray[np.int64]
    roots: NDArray[np.int64]
    base: Floats
    finish: Finish
    dtype: str

    @property
    def rounding(self) -> float:
        """How far a float32 sum over the trees may err, in any order (Higham 2002, lemma 3.1)."""
        largest = np.zeros(int(self.tree.max()) + 1)
        np.maximum.at(largest, self.tree, np.abs(self.values).max(axis=1))
        sums = float(largest.sum()) + float(np.abs(self.base).max(initial=0.0))
        return 2.0**-24 * (len(self.roots) + 4) * sums


def read_forest(path: Path, interface: Interface, rule: Rule) -> Forest | None:
    """Read the tree ensemble that makes the scores of the ONNX file at ``path``, if one does.

    Raises ``TwinError`` where there is one that cannot be searched exactly.
    """
    graph = load_graph(path)
    head = find_scores(graph, interface)
    node = _tree_node(head.graph, head.value)
    if node is None:
        return None
    if len(interface.input_shape) != 1:
        raise TwinError("the trees' input is no table of numbers", cure=CURE)
    finish = head.finish
    if node.operator == "TreeEnsembleClassifier":
        finish = _finish(node.attributes, interface.scores)
    check_rule(finish, rule)
    width = interface.input_shape[0]
    columns = columns_of(graph, node.inputs[0], width, interface.input_dtype)
    return _forest(node, columns, finish, interface.input_dtype)


def _tree_node(graph: Graph, value: str) -> Node | None:
    node = graph.producer(value)
    while node is not None and node.operator in PASSING:
        node = graph.producer(node.inputs[0])
    return node if node is not None and node.domain == ML and node.operator in TREES else None


def _finish(said: Attributes, scores: str) -> Finish:
    """Return how a classifier's sums become probabilities, as ONNX Runtime does it.

    Leaves of one class only, none below 0, are probabilities whatever the transform says.
    """
    transform = said.text("post_transform", "NONE")
    binary = _classes(said) == 2  # noqa: PLR2004 -- the meaning of the word
    single = binary and len(set(said.integers("class_ids"))) == 1
    if binary and not single and (said.has("base_values") or said.has("base_values_as_tensor")):
        raise TwinError(
            "runtimes differ in base values of two classes with a score each", cure=CURE
        )
    if single and _tensor(said, "class_weights").min(initial=0.0) >= 0:
        return Finish.BINARY_LOG_ODDS
    if single and transform == "LOGISTIC":
        return Finish.BINARY_AS_IS
    if not single and transform == "LOGISTIC":
        return Finish.LOG_SIGMOID
    if not single and transform in {"NONE", "SOFTMAX"}:
        logits = transform == "SOFTMAX" or scores == "logits"
        return Finish.AS_IS if logits else Finish.LOG
    raise TwinError(f"the trees' sums are transformed by {transform}", cure=CURE)


def _forest(node: Node, columns: tuple[Column, ...], finish: Finish, dtype: str) -> Forest:
    said = node.attributes
    compared = columns[0].of(np.zeros(1, dtype)).dtype
    ids = list(zip(said.integers("nodes_treeids"), said.integers("nodes_nodeids"), strict=True))
    place = {key: index for index, key in enumerate(ids)}
    ways = (said.integers("nodes_truenodeids"), said.integers("nodes_falsenodeids"))
    yes, no = (
        np.array([place.get((tree, child), 0) for (tree, _), child in zip(ids, way, strict=True)])
        for way in ways
    )
    modes = [str(mode, "ascii") for mode in said.values.get("nodes_modes", ())]
    threshold = _tensor(said, "nodes_values").astype(compared)
    feature = np.array(said.integers("nodes_featureids"), dtype=np.int64)
    inner, swapped, strict = (_among(modes, group) for group in _GROUPS)
    if not (inner | _among(modes, ("LEAF",))).all():
        raise TwinError(f"trees compare by {', '.join(sorted(set(modes)))}", cure=CURE)
    below = np.nextafter(threshold, compared.type(-np.inf))
    return Forest(
        columns=columns,
        feature=np.where(inner, feature, LEAF),
        threshold=np.where(strict, below, threshold),
        left=np.where(swapped, no, yes),
        right=np.where(swapped, yes, no),
        values=_leaves(node, place),
        tree=np.unique([tree for tree, _ in ids], return_inverse=True)[1].astype(np.int64),
        roots=_roots(ids, {*yes[inner].tolist(), *no[inner].tolist()}),
        base=_base(node),
        finish=finish,
        dtype=dtype,
    )


_GROUPS = (
    ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"),
    ("BRANCH_GTE", "BRANCH_GT"),
    ("BRANCH_LT", "BRANCH_GTE"),
)
"""Comparisons that have an order; those that go left where they fail; those without equality."""


def _among(modes: list[str], group: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.array([mode in group for mode in modes], dtype=np.bool_)


def _roots(ids: list[tuple[int, int]], children: set[int]) -> NDArray[np.int64]:
    roots = [index for index in range(len(ids)) if index not in children]
    trees = [ids[index][0] for index in roots]
    if len(trees) != len({tree for tree, _ in ids}) or len(set(trees)) != len(trees):
        raise TwinError("the nodes of the trees do not hang together", cure=CURE)
    return np.array(roots, dtype=np.int64)


def _leaves(node: Node, place: dict[tuple[int, int], int]) -> Floats:
    said, name = node.attributes, _prefix(node)
    targets = said.integers(f"{name}_ids")
    single = name == "class" and _classes(said) == 2 and len(set(targets)) == 1  # noqa: PLR2004 -- two classes
    width = 1 if single else _width(node)
    values = np.zeros((len(place), width))
    weights = _tensor(said, f"{name}_weights").astype(np.float64)
    trees, nodes = said.integers(f"{name}_treeids"), said.integers(f"{name}_nodeids")
    for tree, leaf, target, weight in zip(trees, nodes, targets, weights, strict=True):
        values[place[tree, leaf], 0 if single else target] += weight
    if said.text("aggregate_function", "SUM") == "AVERAGE":
        values /= len(set(said.integers("nodes_treeids")))
    elif said.text("aggregate_function", "SUM") != "SUM":
        raise TwinError("the trees are not added up", cure=CURE)
    return values


def _base(node: Node) -> Floats:
    base = _tensor(node.attributes, "base_values").astype(np.float64)
    ids = set(node.attributes.integers(f"{_prefix(node)}_ids"))
    width = 1 if len(ids) == 1 and _width(node) <= 2 else _width(node)  # noqa: PLR2004 -- two classes
    return base[-width:] if base.size else np.zeros(width)


def _prefix(node: Node) -> str:
    return "class" if node.operator == "TreeEnsembleClassifier" else "target"


def _width(node: Node) -> int:
    said = node.attributes
    return _classes(said) if _prefix(node) == "class" else said.integer("n_targets", 1)


def _classes(said: Attributes) -> int:
    return said.length("classlabels_int64s") or said.length("classlabels_strings")


def _tensor(said: Attributes, name: str) -> NDArray[Any]:
    """Return an attribute of float32 numbers, or of the float64 ones that may stand for them."""
    wide = said.tensor(f"{name}_as_tensor")
    return np.array(said.numbers(name), dtype=np.float32) if wide is None else wide
