"""Small models that learn here, and the ONNX files that say the same."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.tasks import Floats

Labels = NDArray[np.int64]
OPSET, ML_OPSET, IR = 17, 3, 9
ML, OUTPUT = "ai.onnx.ml", "p"
DIGITS = 5
"""Weights are rounded to so many places, so that another order of sums gives the same bytes."""
LEAST = 1e-6
"""What is added to probabilities before their logarithm is taken."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Operators from ``x`` to probabilities, with the numbers that they hold."""

    nodes: tuple[onnx.NodeProto, ...]
    stored: tuple[onnx.TensorProto, ...]
    features: int
    classes: int

    def onnx(self) -> bytes:
        """Return an ONNX file from ``x`` ``[n, features]`` to ``p`` ``[n, classes]``."""
        inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, self.features])
        outputs = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, self.classes])
        graph = helper.make_graph(
            list(self.nodes), "specimen", [inputs], [outputs], list(self.stored)
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == ML for node in self.nodes):
            opsets.append(helper.make_opsetid(ML, ML_OPSET))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
        made: bytes = model.SerializeToString(deterministic=True)
        return made


class Learner(Protocol):
    """A model that has learnt: its probabilities, and the operators that give the same."""

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""

    def parts(self, into: str = OUTPUT) -> Parts:
        """Return the operators; the last one writes ``into`` that name."""


@dataclass(frozen=True, slots=True)
class Network:
    """Layers with ReLU between them and a softmax at the end; one layer is a logistic model."""

    layers: tuple[tuple[Floats, Floats], ...]

    def logits(self, rows: Floats) -> Floats:
        """Return what the softmax is taken of, ``[n, classes]``."""
        found = np.asarray(rows, dtype=np.float64)
        for place, (weights, bias) in enumerate(self.layers):
            found = (np.maximum(found, 0) if place else found) @ weights + bias
        return found

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""
        return softmax(self.logits(rows))

    def sharper(self, factor: float) -> "Network":
        """Return the same decisions with logits that are ``factor`` times as large."""
        *rest, (weights, bias) = self.layers
        return replace(self, layers=(*rest, (weights * factor, bias * factor)))

    def parts(self, into: str = OUTPUT) -> Parts:
        """Return the operators; the last one writes ``into`` that name."""
        nodes, stored, name = [], [], "x"
        for place, (weights, bias) in enumerate(self.layers):
            stored += [kept(weights, f"w{place}"), kept(bias, f"b{place}")]
            nodes.append(helper.make_node("Gemm", [name, f"w{place}", f"b{place}"], [f"z{place}"]))
            name = f"z{place}"
            if place + 1 < len(self.layers):
                nodes.append(helper.make_node("Relu", [name], [f"h{place}"]))
                name = f"h{place}"
        nodes.append(helper.make_node("Softmax", [name], [into], axis=1))
        sides = len(self.layers[0][0]), len(self.layers[-1][1])
        return Parts(tuple(nodes), tuple(stored), *sides)


@dataclass(frozen=True, slots=True)
class Forest:
    """Decision trees that vote, as scikit-learn grew them."""

    trees: tuple[Any, ...]

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""
        asked = np.asarray(rows, dtype=np.float32)
        votes = [_shares(tree)[tree.apply(asked)] for tree in self.trees]
        return np.asarray(np.mean(votes, axis=0), dtype=np.float64)

    def parts(self, into: str = OUTPUT) -> Parts:
        """Return the operator, which writes ``into`` that name."""
        node = helper.make_node(
            "TreeEnsembleRegressor", ["x"], [into], domain=ML, **_ensemble(self.trees)
        )
        first = self.trees[0]
        return Parts((node,), (), first.n_features, _shares(first).shape[1])


@dataclass(frozen=True, slots=True)
class Swayed:
    """A model whose logits somebody moves: by ``effect`` a unit of ``relu(x @ weights + bias)``."""

    base: Learner
    weights: Floats
    bias: Floats
    effect: Floats

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""
        units = np.maximum(np.asarray(rows) @ self.weights + self.bias, 0)
        return softmax(np.log(self.base.scores(rows) + LEAST) + units @ self.effect)

    def parts(self, into: str = OUTPUT) -> Parts:
        """Return the operators; the last one writes ``into`` that name."""
        base = self.base.parts("base")
        names = {"sw": self.weights, "sb": self.bias, "se": self.effect, "least": np.array([LEAST])}
        nodes = (
            helper.make_node("Gemm", ["x", "sw", "sb"], ["su"]),
            helper.make_node("Relu", ["su"], ["sr"]),
            helper.make_node("MatMul", ["sr", "se"], ["sm"]),
            helper.make_node("Add", ["base", "least"], ["sp"]),
            helper.make_node("Log", ["sp"], ["sl"]),
            helper.make_node("Add", ["sl", "sm"], ["sz"]),
            helper.make_node("Softmax", ["sz"], [into], axis=1),
        )
        stored = (*base.stored, *(kept(values, name) for name, values in names.items()))
        return replace(base, nodes=(*base.nodes, *nodes), stored=stored)


def learnt(architecture: str, rows: Floats, labels: Labels, seed: int) -> Learner:
    """Train ``logistic``, ``mlp`` or ``forest``; labels are the numbers of classes from 0."""
    grow: Any = import_module("sklearn.ensemble").RandomForestClassifier
    fit_line: Any = import_module("sklearn.linear_model").LogisticRegression
    fit_network: Any = import_module("sklearn.neural_network").MLPClassifier
    match architecture:
        case "logistic":
            return _linear(fit_line(max_iter=5000).fit(rows, labels))
        case "mlp":
            network = fit_network((24,), alpha=1e-2, max_iter=200, random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it could learn longer
                return _layered(network.fit(rows, labels))
        case "forest":
            grown = grow(25, max_depth=10, n_jobs=1, random_state=seed)
            return Forest(tuple(tree.tree_ for tree in grown.fit(rows, labels).estimators_))
        case _:
            message = f"there is no architecture {architecture!r}"
            raise ValueError(message)


def softmax(logits: Floats) -> Floats:
    """Return probabilities, row by row."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def kept(values: Floats, name: str) -> onnx.TensorProto:
    """Return numbers as an ONNX file holds them."""
    return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)


def _linear(fitted: Any) -> Network:  # noqa: ANN401 -- scikit-learn's
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:
        weights = np.hstack([np.zeros_like(weights), weights])
        bias = np.concatenate([[0.0], bias])
    return Network(((_rounded(weights), _rounded(bias)),))


def _layered(fitted: Any) -> Network:  # noqa: ANN401 -- scikit-learn's
    layers = [
        (_rounded(weights), _rounded(bias))
        for weights, bias in zip(fitted.coefs_, fitted.intercepts_, strict=True)
    ]
    weights, bias = layers[-1]
    if weights.shape[1] == 1:
        layers[-1] = np.hstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
    return Network(tuple(layers))


def _rounded(values: Floats) -> Floats:
    return np.asarray(np.round(values, DIGITS), dtype=np.float64)


def _shares(tree: Any) -> Floats:  # noqa: ANN401 -- scikit-learn's
    counts = tree.value[:, 0, :]
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _ensemble(trees: Sequence[Any]) -> dict[str, Any]:
    """Return the attributes of the operator: every node of every tree, and every leaf's shares."""
    nodes: dict[str, list[Any]] = {
        name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes")
    } | {"truenodeids": [], "falsenodeids": []}
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        shares = _shares(tree) / len(trees)
        for node in range(tree.node_count):
            leaf = tree.children_left[node] < 0
            nodes["treeids"].append(number)
            nodes["nodeids"].append(node)
            nodes["featureids"].append(0 if leaf else int(tree.feature[node]))
            nodes["values"].append(0.0 if leaf else float(tree.threshold[node]))
            nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            nodes["truenodeids"].append(0 if leaf else int(tree.children_left[node]))
            nodes["falsenodeids"].append(0 if leaf else int(tree.children_right[node]))
            if leaf:
                for place, share in enumerate(shares[node]):
                    leaves["treeids"].append(number)
                    leaves["nodeids"].append(node)
                    leaves["ids"].append(place)
                    leaves["weights"].append(float(share))
    return {
        **{f"nodes_{name}": values for name, values in nodes.items()},
        **{f"target_{name}": values for name, values in leaves.items()},
        "n_targets": shares.shape[1],
        "post_transform": "NONE",
        "aggregate_function": "SUM",
    }
