"""Tree ensembles of ONNX files as arrays, with traced inputs and cells of feature space.

A cell is a range of one feature in which no node of the ensemble tells two values apart.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from auditor.domain.robustness_certificates import PerturbationBoxes
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Floats
from auditor.errors import TwinError
from auditor.onnx.decision_margins import CURE, ScoreRule, check_score_rule
from auditor.onnx.decision_scores import find_scores
from auditor.onnx.graph import GraphNode, NodeAttributes, OnnxGraph, load_graph
from auditor.onnx.output_heads import ML, LogitTransform

Number: TypeAlias = "np.floating[Any]"
FLOATS: Mapping[int, type[Number]] = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
SUMS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
BITS: Mapping[str, tuple[type[np.integer[Any]], int]] = {
    "float32": (np.int32, 0x7F7FFFFF),
    "float64": (np.int64, 0x7FEFFFFFFFFFFFFF),
}
"""For each floating-point type the integers of its width, and the largest finite number's bits."""
WIDEST = 2**53


@dataclass(frozen=True, slots=True)
class TreeColumn:
    """One number that the trees see: input ``source`` after ``steps``, each in its own type.

    A step is an operator's name and its constant; a cast's constant is a zero of its type.
    """

    source: int
    steps: tuple[tuple[str, Number], ...] = ()

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what the trees see of values of the input, in the arithmetic of the runtime."""
        for name, constant in self.steps:
            values = values.astype(constant.dtype)
            if name != "Cast":
                values = SUMS[name](values, constant)
        return values

    def then(self, name: str, constant: Number) -> "TreeColumn":
        """Return the column after one more step. Raises ``TwinError`` where it would fall."""
        if (name in {"Mul", "Div"} and constant <= 0) or not np.isfinite(constant):
            raise TwinError(f"a feature is multiplied by {constant} before the trees", cure=CURE)
        return replace(self, steps=(*self.steps, (name, constant)))


def trace_columns(graph: OnnxGraph, value: str, width: int, dtype: str) -> tuple[TreeColumn, ...]:
    """Return the columns of a value that follows from the input, ``[n, width]`` in ``dtype``.

    Raises ``TwinError`` that names the operator of which trees cannot be searched through.
    """
    if value in graph.inputs:
        kind = np.dtype(dtype)
        seen = kind.type(0) if kind.kind == "f" else np.float32(0)  # trees compare in float32
        return tuple(TreeColumn(index).then("Cast", seen) for index in range(width))
    node = graph.producer(value)
    if node is None:
        raise TwinError(f"the value {value!r} of the model comes from nowhere", cure=CURE)
    if node.operator == "Concat" and node.attributes.integer("axis") in {1, -1}:
        parts = [trace_columns(graph, name, width, dtype) for name in node.inputs]
        return tuple(column for part in parts for column in part)
    before = trace_columns(graph, node.inputs[0], width, dtype)
    said = node.attributes
    match node.operator:
        case "Identity" | "Flatten":
            return before
        case "Cast" if said.integer("to") in FLOATS:
            return tuple(item.then("Cast", FLOATS[said.integer("to")](0)) for item in before)
        case "Scaler":
            moved = _each(before, "Sub", np.array(said.numbers("offset"), dtype=np.float32))
            return _each(moved, "Mul", np.array(said.numbers("scale"), dtype=np.float32))
        case "Gather" | "ArrayFeatureExtractor" if node.inputs[1] in graph.constants:
            if node.operator == "Gather" and said.integer("axis") not in {1, -1}:
                raise _unknown(node)
            return tuple(before[int(at)] for at in graph.constants[node.inputs[1]].reshape(-1))
        case "Add" | "Sub" | "Mul" | "Div" if node.inputs[1] in graph.constants:
            return _each(before, node.operator, graph.constants[node.inputs[1]])
    raise _unknown(node)


def _unknown(node: GraphNode) -> TwinError:
    return TwinError(f"trees cannot be searched through the operator {node.label}", cure=CURE)


def _each(
    before: tuple[TreeColumn, ...], name: str, constants: NDArray[Any]
) -> tuple[TreeColumn, ...]:
    spread = np.broadcast_to(constants.reshape(-1), (len(before),))
    return tuple(item.then(name, value) for item, value in zip(before, spread, strict=True))


def largest_inputs_below(column: TreeColumn, thresholds: NDArray[Any], dtype: str) -> Floats:
    """Return the largest values of the input at which a column does not exceed ``thresholds``.

    Found by bisection over all numbers of the input's type, so that no rounding on the way is
    left out; minus infinity where every value exceeds one, infinity where none does.
    """
    if dtype in BITS:
        least, most = -BITS[dtype][1], BITS[dtype][1]
    elif dtype == "bool":
        least, most = 0, 1
    else:
        if np.dtype(dtype).kind not in "iu":
            raise TwinError(f"trees of {dtype} inputs are not searched", cure=CURE)
        reach = np.iinfo(dtype)
        least, most = max(int(reach.min), -WIDEST), min(int(reach.max), WIDEST)
    below = np.full(len(thresholds), least - 1)
    above = np.full(len(thresholds), most + 1)
    while (above - below > 1).any():
        middle = np.where(above - below > 1, below + (above - below) // 2, below)
        seen = np.clip(middle, least, most)
        with np.errstate(over="ignore"):
            kept = (column.of(_values(seen, dtype)) <= thresholds) | (middle < least)
        below, above = np.where(kept, middle, below), np.where(kept, above, middle)
    found = _values(np.clip(below, least, most), dtype).astype(np.float64)
    found = np.where(below < least, -math.inf, found)
    limits: Floats = np.where(below >= most, math.inf, found)
    return limits


def smallest_inputs_above(limits: Floats, dtype: str) -> Floats:
    """Return the smallest values of the input's type above ``limits`` (which are of that type)."""
    kind = np.dtype(dtype)
    after: Floats = limits + 1
    if kind.kind == "f":
        after = np.nextafter(limits.astype(kind), kind.type(np.inf)).astype(np.float64)
    return after


def _values(places: NDArray[np.int64], dtype: str) -> NDArray[Any]:
    """Return the numbers at places in the order of all numbers of a type, zero at 0."""
    if dtype not in BITS:
        return places.astype(dtype)
    sizes = np.abs(places).astype(BITS[dtype][0]).view(dtype)
    return np.where(places < 0, -sizes, sizes)


TREES = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor"})
PASSING = frozenset({"Identity", "Cast", "Reshape"})
LEAF = -1


@dataclass(frozen=True, slots=True, eq=False)
class TreeEnsemble:
    """Trees side by side: row ``k`` of each array is one node of some tree.

    A node goes ``left`` where ``columns[feature]`` does not exceed ``threshold``, else ``right``;
    a leaf has the feature -1 and ``values`` ``[nodes, scores]``. ``tree`` numbers each node's tree,
    ``roots`` are where these begin, ``base`` is what is added to the sums.
    """

    columns: tuple[TreeColumn, ...]
    feature: NDArray[np.int64]
    threshold: NDArray[Any]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Floats
    tree: NDArray[np.int64]
    roots: NDArray[np.int64]
    base: Floats
    finish: LogitTransform
    dtype: str

    @property
    def rounding(self) -> float:
        """How far a float32 sum over the trees may err, in any order (Higham 2002, lemma 3.1)."""
        largest = np.zeros(int(self.tree.max()) + 1)
        np.maximum.at(largest, self.tree, np.abs(self.values).max(axis=1))
        sums = float(largest.sum()) + float(np.abs(self.base).max(initial=0.0))
        return 2.0**-24 * (len(self.roots) + 4) * sums


def read_tree_ensemble(
    path: Path, interface: ModelInterface, rule: ScoreRule
) -> TreeEnsemble | None:
    """Read the tree ensemble that makes the scores of the ONNX file at ``path``, if one does.

    Raises ``TwinError`` where there is one that cannot be searched exactly.
    """
    graph = load_graph(path)
    head = find_scores(graph, interface)
    node_graph = head.graph
    node = node_graph.producer(head.value)
    while node is not None and node.operator in PASSING:
        node = node_graph.producer(node.inputs[0])
    node = node if node is not None and node.domain == ML and node.operator in TREES else None
    if node is None:
        return None
    if len(interface.input_shape) != 1:
        raise TwinError("the trees' input is no table of numbers", cure=CURE)
    finish = head.finish
    if node.operator == "TreeEnsembleClassifier":
        # How a classifier's sums become probabilities, as ONNX Runtime does it. Leaves of one class
        # only, none below 0, are probabilities whatever the transform says.
        said = node.attributes
        transform = said.text("post_transform", "NONE")
        binary = _classes(said) == 2  # noqa: PLR2004 -- the meaning of the word
        single = binary and len(set(said.integers("class_ids"))) == 1
        if binary and not single and (said.has("base_values") or said.has("base_values_as_tensor")):
            raise TwinError(
                "runtimes differ in base values of two classes with a score each", cure=CURE
            )
        if single and _tensor(said, "class_weights").min(initial=0.0) >= 0:
            finish = LogitTransform.BINARY_LOG_ODDS
        elif single and transform == "LOGISTIC":
            finish = LogitTransform.BINARY_AS_IS
        elif not single and transform == "LOGISTIC":
            finish = LogitTransform.LOG_SIGMOID
        elif not single and transform in {"NONE", "SOFTMAX"}:
            logits = transform == "SOFTMAX" or interface.scores == "logits"
            finish = LogitTransform.AS_IS if logits else LogitTransform.LOG
        else:
            raise TwinError(f"the trees' sums are transformed by {transform}", cure=CURE)
    check_score_rule(finish, rule)
    width = interface.input_shape[0]
    columns = trace_columns(graph, node.inputs[0], width, interface.input_dtype)
    return _forest(node, columns, finish, interface.input_dtype)


def _forest(
    node: GraphNode, columns: tuple[TreeColumn, ...], finish: LogitTransform, dtype: str
) -> TreeEnsemble:
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
    leaves_said, name = node.attributes, _prefix(node)
    targets = leaves_said.integers(f"{name}_ids")
    single = name == "class" and _classes(leaves_said) == 2 and len(set(targets)) == 1  # noqa: PLR2004 -- two classes
    width = 1 if single else _width(node)
    values = np.zeros((len(place), width))
    weights = _tensor(leaves_said, f"{name}_weights").astype(np.float64)
    trees, nodes = leaves_said.integers(f"{name}_treeids"), leaves_said.integers(f"{name}_nodeids")
    for tree, leaf, target, weight in zip(trees, nodes, targets, weights, strict=True):
        values[place[tree, leaf], 0 if single else target] += weight
    if leaves_said.text("aggregate_function", "SUM") == "AVERAGE":
        values /= len(set(leaves_said.integers("nodes_treeids")))
    elif leaves_said.text("aggregate_function", "SUM") != "SUM":
        raise TwinError("the trees are not added up", cure=CURE)
    return TreeEnsemble(
        columns=columns,
        feature=np.where(inner, feature, LEAF),
        threshold=np.where(strict, below, threshold),
        left=np.where(swapped, no, yes),
        right=np.where(swapped, yes, no),
        values=values,
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


def _base(node: GraphNode) -> Floats:
    base = _tensor(node.attributes, "base_values").astype(np.float64)
    ids = set(node.attributes.integers(f"{_prefix(node)}_ids"))
    width = 1 if len(ids) == 1 and _width(node) <= 2 else _width(node)  # noqa: PLR2004 -- two classes
    return base[-width:] if base.size else np.zeros(width)


def _prefix(node: GraphNode) -> str:
    return "class" if node.operator == "TreeEnsembleClassifier" else "target"


def _width(node: GraphNode) -> int:
    said = node.attributes
    return _classes(said) if _prefix(node) == "class" else said.integer("n_targets", 1)


def _classes(said: NodeAttributes) -> int:
    return said.length("classlabels_int64s") or said.length("classlabels_strings")


def _tensor(said: NodeAttributes, name: str) -> NDArray[Any]:
    """Return an attribute of float32 numbers, or of the float64 ones that may stand for them."""
    wide = said.tensor(f"{name}_as_tensor")
    return np.array(said.numbers(name), dtype=np.float32) if wide is None else wide


Ranks = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CellAxis:
    """One input as the trees see it: cell ``k`` holds the values above ``limits[k - 1]`` and up to
    ``limits[k]``.

    ``first`` and ``last`` are the least and greatest values that a row may take in each cell, where
    it comes from below or from above; ``empty`` cells have none.
    """

    limits: Floats
    first: Floats
    last: Floats
    empty: NDArray[np.bool_]

    def cell(self, values: Floats) -> Ranks:
        """Return the cells that values lie in."""
        return np.searchsorted(self.limits, values, side="left").astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CellGrid:
    """All axes of an ensemble, by input, and for each node the cell below which it goes left."""

    axes: dict[int, CellAxis]
    source: Ranks
    rank: Ranks
    dtype: str

    def cells(self, rows: Floats) -> Ranks:
        """Return the cells ``[n, inputs]`` of rows ``[n, inputs]``; 0 where no tree looks."""
        seen = _typed(rows, self.dtype)
        found = np.zeros(rows.shape, dtype=np.int64)
        for source, axis in self.axes.items():
            found[:, source] = axis.cell(seen[:, source])
        return found


def build_cell_grid(forest: TreeEnsemble, boxes: PerturbationBoxes) -> CellGrid:
    """Find the cells of a forest's inputs under the steps that ``boxes`` allows."""
    inner = np.flatnonzero(forest.feature != LEAF)
    source, rank = np.full(len(forest.feature), LEAF), np.zeros(len(forest.feature), np.int64)
    limit = np.zeros(len(forest.feature))
    for index, column in enumerate(forest.columns):
        nodes = inner[forest.feature[inner] == index]
        if len(nodes):
            source[nodes] = column.source
            limit[nodes] = largest_inputs_below(column, forest.threshold[nodes], forest.dtype)
    axes: dict[int, CellAxis] = {}
    for place in np.unique(source[inner]):
        nodes = inner[source[inner] == place]
        steps = float(boxes.quantum.reshape(-1)[place]), float(boxes.origin.reshape(-1)[place])
        axes[int(place)] = _axis(np.unique(limit[nodes]), *steps, forest.dtype)
        rank[nodes] = axes[int(place)].cell(limit[nodes]) + 1
    return CellGrid(axes, source, rank, forest.dtype)


def _axis(limits: Floats, quantum: float, origin: float, dtype: str) -> CellAxis:
    ends = limits[np.isfinite(limits)]
    before, beyond = np.append(-np.inf, ends), np.append(ends, np.inf)
    first, last = np.append(-np.inf, smallest_inputs_above(ends, dtype)), beyond
    if quantum > 0:
        # The first steps that the model sees above limits; where steps blur, any value
        steps = _steps_near(ends, quantum, origin)
        found = np.where(_typed(steps, dtype) > ends, steps, np.inf).min(axis=0)
        first = np.append(
            -np.inf, np.where(np.isinf(found), smallest_inputs_above(ends, dtype), found)
        )
        # The last steps that the model does not see above limits; where they blur, these
        below_steps = _steps_near(ends, quantum, origin)
        below_found = np.where(_typed(below_steps, dtype) <= ends, below_steps, -np.inf).max(axis=0)
        last = np.append(np.where(np.isinf(below_found), ends, below_found), np.inf)
    empty = (_typed(first, dtype) > beyond) | (_typed(last, dtype) <= before)
    return CellAxis(ends, first, last, empty)


def _steps_near(limits: Floats, quantum: float, origin: float) -> Floats:
    """Return ``[k, n]`` steps around limits, one of which is the next on either side.

    Whether rounding puts a step on a limit or beside it, only looking at it tells.
    """
    nearest = np.rint((limits - origin) / quantum)
    steps: Floats = origin + (nearest + np.arange(-2.0, 3.0)[:, None]) * quantum
    return steps


def _typed(values: Floats, dtype: str) -> Floats:
    if np.dtype(dtype).kind != "f":
        return values
    with np.errstate(over="ignore"):
        return values.astype(dtype).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class CellReach:
    """What one row can be turned into: for each input the cost of each cell, and its value there.

    ``own`` are the row's cells; a cost is a share of the input's unit, infinite out of reach.
    """

    own: Ranks
    costs: dict[int, Floats]
    values: dict[int, Floats]

    @property
    def steps(self) -> Floats:
        """All finite costs above 0, the smallest first: no other distance can be the smallest."""
        every = np.concatenate([np.empty(0), *self.costs.values()])
        return np.unique(every[np.isfinite(every) & (every > 0)])

    def window(self, source: int, eps: float) -> tuple[int, int]:
        """Return the first and last cell of an input that ``eps`` reaches."""
        cells = np.flatnonzero(self.costs[source] <= eps)
        return int(cells[0]), int(cells[-1])

    def cheapest(self, source: int, low: int, high: int) -> int:
        """Return the cell of an input that costs least among those from ``low`` to ``high``."""
        return low + int(np.argmin(self.costs[source][low : high + 1]))


def find_cell_reach(grid: CellGrid, boxes: PerturbationBoxes, row: int) -> CellReach:
    """Return what row number ``row`` of the boxes can be turned into."""
    clean, lower, upper = (
        part[row].reshape(-1).astype(np.float64) for part in (boxes.clean, boxes.lower, boxes.upper)
    )
    unit = boxes.unit.reshape(-1)
    own = grid.cells(clean[None])[0]
    costs, values = dict[int, Floats](), dict[int, Floats]()
    for source, axis in grid.axes.items():
        cells = np.arange(len(axis.first))
        target = np.where(cells > own[source], axis.first, axis.last)
        allowed = (target >= lower[source]) & (target <= upper[source]) & ~axis.empty
        moved = np.abs(target - clean[source])
        share = moved / unit[source] if unit[source] > 0 else np.full(len(cells), np.inf)
        costs[source] = np.where(cells == own[source], 0.0, np.where(allowed, share, np.inf))
        values[source] = np.where(cells == own[source], clean[source], target)
    return CellReach(own, costs, values)
