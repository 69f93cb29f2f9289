"""Small random networks, bounded, and attacked on ONNX Runtime by whatever comes to hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from small_models import interface, make_model, run, save

from auditor.domain.tasks import Floats
from auditor.onnx.bounds.network import BoundedNetwork, bound_network
from auditor.onnx.decision_margins import ScoreRule

Constants = dict[str, NDArray[np.generic]]
CURVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Relu", {}),
    ("LeakyRelu", {"alpha": 0.1}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
)


class Sketch:
    """Nodes one after the other, with random weights."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.nodes: list[onnx.NodeProto] = []
        self.constants: Constants = {}
        self.last = "x"

    def add(self, operator: str, *others: str, output: str | None = None, **more: object) -> str:
        self.last, before = output or f"v{len(self.nodes)}", self.last
        inputs = [before, *others]
        self.nodes.append(helper.make_node(operator, inputs, [self.last], **more))
        return self.last

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(scale * self.rng.normal(size=shape))

    def constant(self, value: object) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        self.constants[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return name

    def curve(self) -> None:
        choice = int(self.rng.integers(len(CURVES) + 1))
        if choice == len(CURVES):
            low, high = sorted(self.rng.normal(size=2))
            self.add("Clip", self.constant(np.float32(low)), self.constant(np.float32(high)))
        else:
            self.add(CURVES[choice][0], **CURVES[choice][1])


def perceptron(rng: np.random.Generator, inputs: int, classes: int) -> Sketch:
    """Two or three dense layers, one of them possibly passed by."""
    made, width = Sketch(rng), int(rng.integers(3, 8))
    made.add("Gemm", made.weight(width, inputs), made.weight(width), transB=1, alpha=0.7)
    for _ in range(int(rng.integers(1, 3))):
        made.curve()
        kept = made.last
        made.add("MatMul", made.weight(width, width))
        made.add("Add", made.weight(width))
        if rng.random() < 0.5:
            made.add("Add", kept)
    made.curve()
    made.add("Gemm", made.weight(width, classes), made.weight(classes), output="scores")
    return made


def convolution(rng: np.random.Generator, side: int, classes: int) -> Sketch:
    """Two convolutions with normalisation, pooling and a shortcut, then a dense layer."""
    made, channels = Sketch(rng), int(rng.integers(2, 4))
    made.add("Conv", made.weight(channels, 1, 3, 3), made.weight(channels), pads=[1, 1, 1, 1])
    shift = [made.weight(channels) for _ in range(3)]
    made.add("BatchNormalization", *shift, made.constant(rng.random(channels) + 0.5))
    made.curve()
    kept = made.last
    made.add("Conv", made.weight(channels, channels, 3, 3, scale=0.5), "", pads=[1, 1, 1, 1])
    if rng.random() < 0.5:
        made.add("Sub", kept)
    made.curve()
    pool = ["MaxPool", "AveragePool"][int(rng.integers(2))]
    stride = int(rng.integers(1, 3))
    made.add(pool, kernel_shape=[2, 2], strides=[stride, stride], pads=[0, 0, 1, 1])
    made.add("Mul", made.constant(np.float32(-0.8)))
    made.add("Flatten")
    size = channels * (-(-side // stride)) ** 2
    made.add("Gemm", made.weight(size, classes, scale=0.5), made.weight(classes), output="scores")
    return made


Draw = tuple[BoundedNetwork, Path, tuple[int, ...]]


def draw(seed: int, folder: Path) -> Draw:
    """Return a random small network, where its file is, and the shape of a row."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 5))
    if seed % 2:
        shape: tuple[int, ...] = (1, 5, 5)
        made = convolution(rng, 5, classes)
    else:
        shape = (4,)
        made = perceptron(rng, 4, classes)
    return (*bounded(made, shape, folder), shape)


def bounded(
    made: Sketch, shape: tuple[int, ...], folder: Path, rule: ScoreRule | None = None
) -> tuple[BoundedNetwork, Path]:
    """Return what was sketched, ready to be bounded; by default the largest score decides."""
    path = save(make_model(made.nodes, made.constants, ["n", *shape]), folder)
    return bound_network(path, interface(shape), rule or ScoreRule()), path


def lead(scores: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return how far each row's class is ahead of the best other one."""
    rows = np.arange(len(scores))
    others = scores.copy()
    others[rows, labels] = -np.inf
    found: Floats = scores[rows, labels] - others.max(axis=1)
    return found


def smallest_lead(
    path: Path, row: Floats, label: int, eps: float, rng: np.random.Generator
) -> float:
    """Return the smallest lead found near a row: corners, points, then a climb by coordinates."""
    objective = _objective(path, row.shape, label)
    count = 60
    corners = rng.choice([-1.0, 1.0], size=(count, *row.shape))
    inside = rng.uniform(-1.0, 1.0, size=(count, *row.shape))
    ways = np.concatenate([corners, inside, np.zeros((1, *row.shape))])
    leads = objective(row + eps * ways)
    best = ways[int(leads.argmin())].copy()
    least = float(leads.min())
    for _ in range(3):
        flips = np.repeat(best.reshape(1, -1), best.size, axis=0)
        places = np.arange(best.size)
        flips[places, places] = np.where(flips[places, places] > 0, -1.0, 1.0)
        leads = objective(row + eps * flips.reshape(-1, *row.shape))
        if leads.min() >= least:
            break
        best, least = flips[int(leads.argmin())].reshape(row.shape), float(leads.min())
    return least


def _objective(path: Path, shape: tuple[int, ...], label: int) -> Callable[[Floats], Floats]:
    def leads(points: Floats) -> Floats:
        scores = run(path, points.astype(np.float32), "scores").reshape(len(points), -1)
        return lead(scores, np.full(len(points), label))

    return leads
