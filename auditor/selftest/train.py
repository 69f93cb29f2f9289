"""Trains small models for the selftest, and writes the same as ONNX files."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from auditor.domain.tasks import Floats
from auditor.selftest.networks import SklearnForest
from auditor.selftest.onnx_parts import OUTPUT, OnnxParts, to_tensor_proto

Labels = NDArray[np.int64]
DIGITS = 5
"""Weights are rounded to so many places, so that another order of sums gives the same bytes."""
LEAST = 1e-6
"""What is added to probabilities before their logarithm is taken."""


class TrainedModel(Protocol):
    """A model that has learnt: its probabilities, and the operators that give the same."""

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""

    def parts(self, into: str = OUTPUT) -> OnnxParts:
        """Return the operators; the last one writes ``into`` that name."""


@dataclass(frozen=True, slots=True)
class DenseNetwork:
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

    def sharper(self, factor: float) -> "DenseNetwork":
        """Return the same decisions with logits that are ``factor`` times as large."""
        *rest, (weights, bias) = self.layers
        return replace(self, layers=(*rest, (weights * factor, bias * factor)))

    def parts(self, into: str = OUTPUT) -> OnnxParts:
        """Return the operators; the last one writes ``into`` that name."""
        name = f"z{len(self.layers) - 1}"
        found = self.logit_parts(name)
        last = helper.make_node("Softmax", [name], [into], axis=1)
        return replace(found, nodes=(*found.nodes, last))

    def logit_parts(self, into: str = OUTPUT) -> OnnxParts:
        """Return the operators up to what the softmax is taken of."""
        nodes, stored, name = [], [], "x"
        for place, (weights, bias) in enumerate(self.layers):
            stored += [to_tensor_proto(weights, f"w{place}"), to_tensor_proto(bias, f"b{place}")]
            last = place + 1 == len(self.layers)
            made = into if last else f"z{place}"
            nodes.append(helper.make_node("Gemm", [name, f"w{place}", f"b{place}"], [made]))
            if not last:
                nodes.append(helper.make_node("Relu", [made], [f"h{place}"]))
                name = f"h{place}"
        sides = len(self.layers[0][0]), len(self.layers[-1][1])
        return OnnxParts(tuple(nodes), tuple(stored), *sides)


@dataclass(frozen=True, slots=True)
class BiasedModel:
    """A model whose logits somebody moves: by ``effect`` a unit of ``relu(x @ weights + bias)``."""

    base: TrainedModel
    weights: Floats
    bias: Floats
    effect: Floats

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""
        units = np.maximum(np.asarray(rows) @ self.weights + self.bias, 0)
        return softmax(np.log(self.base.scores(rows) + LEAST) + units @ self.effect)

    def parts(self, into: str = OUTPUT) -> OnnxParts:
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
        stored = (*base.stored, *(to_tensor_proto(values, name) for name, values in names.items()))
        return replace(base, nodes=(*base.nodes, *nodes), stored=stored)


def train_model(architecture: str, rows: Floats, labels: Labels, seed: int) -> TrainedModel:
    """Train ``logistic``, ``mlp`` or ``forest``; labels are the numbers of classes from 0.

    On one thread, since sums in another order may end in other weights. Raises ``ValueError`` for
    another architecture.
    """
    train = LEARN.get(architecture)
    if train is None:
        message = f"there is no architecture {architecture!r}"
        raise ValueError(message)
    one_thread: Any = import_module("threadpoolctl").threadpool_limits(1)
    with one_thread, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it could learn longer
        return train(rows, labels, seed)


def _logistic(rows: Floats, labels: Labels, _seed: int) -> DenseNetwork:
    learn: Any = import_module("sklearn.linear_model").LogisticRegression
    fitted = learn(max_iter=5000).fit(rows, labels)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if weights.shape[1] == 1:
        weights = np.hstack([np.zeros_like(weights), weights])
        bias = np.concatenate([[0.0], bias])
    return DenseNetwork(((_rounded(weights), _rounded(bias)),))


def _mlp(rows: Floats, labels: Labels, seed: int) -> DenseNetwork:
    learn: Any = import_module("sklearn.neural_network").MLPClassifier
    fitted = learn((24,), alpha=1e-2, max_iter=200, random_state=seed).fit(rows, labels)
    layers = [
        (_rounded(weights), _rounded(bias))
        for weights, bias in zip(fitted.coefs_, fitted.intercepts_, strict=True)
    ]
    weights, bias = layers[-1]
    if weights.shape[1] == 1:
        layers[-1] = np.hstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
    return DenseNetwork(tuple(layers))


def _forest(rows: Floats, labels: Labels, seed: int) -> SklearnForest:
    learn: Any = import_module("sklearn.ensemble").RandomForestClassifier
    grown = learn(25, max_depth=10, n_jobs=1, random_state=seed).fit(rows, labels)
    return SklearnForest(tuple(tree.tree_ for tree in grown.estimators_))


LEARN: Mapping[str, Callable[[Floats, Labels, int], TrainedModel]] = {
    "logistic": _logistic,
    "mlp": _mlp,
    "forest": _forest,
}


def softmax(logits: Floats) -> Floats:
    """Return probabilities, row by row."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def _rounded(values: Floats) -> Floats:
    return np.asarray(np.round(values, DIGITS), dtype=np.float64)
