"""Small random forests as ONNX files, and the nearest wrong points found by trying every cell."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from small_models import interface, make_model, run, save

from auditor.domain.robustness_certificates import PerturbationBoxes
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Floats
from auditor.onnx.decision_margins import ScoreRule
from auditor.onnx.trees.nearest_point import EnsembleSearch, open_ensemble_search

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT")


@dataclass
class Grower:
    """Grows random trees, and keeps what the operator's attributes hold."""

    rng: np.random.Generator
    inputs: int
    scores: int
    depth: int
    steps: int
    nodes: list[list[object]] = field(default_factory=list)
    leaves: list[list[object]] = field(default_factory=list)

    def tree(self, number: int) -> None:
        self._grow(number, itertools.count(), self.depth)

    def _grow(self, tree: int, names: "itertools.count[int]", depth: int) -> int:
        name = next(names)
        if depth == 0 or self.rng.random() < 0.15:
            self.nodes.append([tree, name, 0, 0.0, "LEAF", 0, 0])
            for score in range(self.scores):
                weight = float(np.float32(self.rng.normal()))
                self.leaves.append([tree, name, score, weight])
            return name
        feature = int(self.rng.integers(self.inputs))
        threshold = float(np.float32(self.rng.integers(1, self.steps) / self.steps))
        mode = MODES[int(self.rng.integers(len(MODES)))]
        place = len(self.nodes)
        self.nodes.append([tree, name, feature, threshold, mode, 0, 0])
        self.nodes[place][5] = self._grow(tree, names, depth - 1)
        self.nodes[place][6] = self._grow(tree, names, depth - 1)
        return name

    def node(self, source: str, **more: object) -> onnx.NodeProto:
        columns = list(zip(*self.nodes, strict=True))
        leaves = list(zip(*self.leaves, strict=True))
        names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids")
        told = {f"nodes_{name}": columns[place] for place, name in enumerate(names)}
        told["nodes_falsenodeids"] = columns[6]
        for place, name in enumerate(("treeids", "nodeids", "ids", "weights")):
            told[f"class_{name}"] = leaves[place]
        return helper.make_node(
            "TreeEnsembleClassifier",
            [source],
            ["label", "scores"],
            domain="ai.onnx.ml",
            classlabels_int64s=list(range(max(2, self.scores))),
            **told,
            **more,
        )


@dataclass(frozen=True)
class Grove:
    """A forest's file, how the target reads it, how it decides, and its number of inputs."""

    path: Path
    interface: ModelInterface
    rule: ScoreRule
    inputs: int

    def open(self, boxes: PerturbationBoxes) -> EnsembleSearch:
        forest = open_ensemble_search(self.path, self.interface, self.rule)
        assert forest is not None
        return EnsembleSearch(forest, self.rule, boxes)

    def probabilities(self, rows: Floats) -> Floats:
        """Ask ONNX Runtime."""
        return run(self.path, rows.astype(np.float32), "scores").reshape(len(rows), -1)

    def decide(self, rows: Floats) -> NDArray[np.int64]:
        found = self.probabilities(rows)
        if self.rule.positive < 0:
            return found.argmax(axis=1).astype(np.int64)
        reached = found[:, self.rule.positive] >= self.rule.threshold
        return np.where(reached, self.rule.positive, 1 - self.rule.positive).astype(np.int64)


def plant(
    seed: int, folder: Path, *, inputs: int = 3, trees: int = 3, depth: int = 3, steps: int = 8
) -> Grove:
    """Return a random forest: binary with one score or two, or of three classes; some scaled."""
    rng = np.random.default_rng(seed)
    scores = 1 + seed % 3
    grower = Grower(rng, inputs, scores, depth, steps)
    for number in range(trees):
        grower.tree(number)
    transform = {1: "LOGISTIC", 2: "SOFTMAX", 3: "SOFTMAX"}[scores]
    source, nodes = "x", []
    if seed % 2:
        one = {"offset": [0.0] * inputs, "scale": [1.0] * inputs}
        nodes = [helper.make_node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", **one)]
        source = "s"
    base = [float(np.float32(value)) for value in 0.1 * rng.normal(size=scores)]
    more = {} if scores == 2 else {"base_values": base}
    nodes.append(grower.node(source, post_transform=transform, **more))
    path = save(make_model(nodes, {}, ["n", inputs]), folder)
    told = interface((inputs,), scores="probabilities")
    threshold = float(rng.choice([0.3, 0.5, 0.7]))
    rule = ScoreRule() if scores == 3 else ScoreRule(int(rng.integers(2)), threshold)
    return Grove(path, told, rule, inputs)


def boxes(
    rows: Floats,
    labels: NDArray[np.int64],
    *,
    quantum: Floats | None = None,
    fixed: tuple[int, ...] = (),
) -> PerturbationBoxes:
    """Return the whole box from 0 to 1 around rows inside it."""
    inputs = rows.shape[1]
    unit = np.ones(inputs)
    unit[list(fixed)] = 0.0
    still = unit == 0
    return PerturbationBoxes(
        clean=rows,
        labels=labels,
        lower=np.where(still, rows, 0.0),
        upper=np.where(still, rows, 1.0),
        unit=unit,
        quantum=np.zeros(inputs) if quantum is None else quantum,
        origin=np.zeros(inputs),
    )


def by_trying(grove: Grove, around: PerturbationBoxes, row: int, steps: int) -> float:
    """Return the smallest distance of a wrong point, of all combinations of cells.

    Thresholds are multiples of ``1 / steps`` (in float32), so that a cell is reached at a
    threshold, beside it, or at the row's own value.
    """
    clean, label = around.clean[row].astype(np.float64), around.labels[row]
    choices = []
    for place in range(grove.inputs):
        step = around.quantum[place]
        if around.unit[place] == 0:
            values = clean[place : place + 1]
        elif step > 0:
            values = np.append(step * np.arange(round(1 / step) + 1), clean[place])
        else:
            limits = (np.arange(1, steps) / steps).astype(np.float32)
            beside = [np.nextafter(limits, np.float32(end)) for end in (0.0, 1.0)]
            values = np.concatenate([limits, *beside, clean[place : place + 1]]).astype(np.float64)
        choices.append(values)
    points = np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, grove.inputs)
    wrong = grove.decide(points) != label
    distance = np.abs(points - clean).max(axis=1)
    return float(distance[wrong].min()) if wrong.any() else np.inf
