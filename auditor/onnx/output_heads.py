"""From a model's output back to its logits: what the last softmax or sigmoid was applied to."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from onnx import TensorProto

from auditor.twins.graphs import Attributes, Graph, Node
from auditor.twins.normalising import STANDARD

ML = "ai.onnx.ml"
PROBABILITIES = frozenset({"probabilities", "zipmap", "binary_probability"})
LOGARITHM = "auditor_logarithm"
"""Set on a classifier of ai.onnx.ml: return logarithms of the scores, finite and with slopes."""
CLASSIFIERS = frozenset({"LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier"})
VOTERS = frozenset(
    {"TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble", "TopK", "OneHotEncoder"}
)
"""Operators whose results are counted, so that probabilities of exactly 0 are common."""
LEAST_SHARE = 1e-7
"""What is added to a share of votes before its logarithm is taken."""
FLOATS = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
)


class Finish(StrEnum):
    """What turns a value of the graph into logits, up to a constant a row."""

    AS_IS = "as_is"
    LOG = "log"
    LOG_SIGMOID = "log_sigmoid"
    BINARY_AS_IS = "binary_as_is"
    BINARY_LOG_ODDS = "binary_log_odds"


AS_IS = Finish.AS_IS
OPSET = 13
"""Of the nodes that are added to a graph."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where logits are taken from: a value of a graph, and what to do with it."""

    graph: Graph
    value: str
    finish: Finish


def find_head(graph: Graph, output: str, scores: str) -> Head:
    """Return where to take logits from, given what the target found the output to be.

    A final softmax, sigmoid or logistic post-transform is left out, so that scores which
    saturate at 0 or 1 still have a gradient; where there is none, logarithms are taken.
    """
    value = _skip(graph, output, {"Identity", "Cast", "ZipMap"})
    if scores == "binary_logit":
        return Head(graph, value, Finish.BINARY_AS_IS)
    if scores == "binary_probability":
        return _binary(graph, value)
    if scores in PROBABILITIES:
        return _several(graph, value)
    return Head(graph, value, Finish.AS_IS)


def _binary(graph: Graph, value: str) -> Head:
    value = _skip(graph, value, {"Identity", "Cast"})
    node = graph.producer(value)
    if node is not None and node.operator == "Sigmoid":
        return Head(graph, node.inputs[0], Finish.BINARY_AS_IS)
    if node is not None and node.operator in {"Squeeze", "Reshape", "Flatten", "Unsqueeze"}:
        inner = _binary(graph, node.inputs[0])
        if inner.finish is Finish.BINARY_AS_IS:
            return inner
    return Head(graph, value, Finish.BINARY_LOG_ODDS)


def _several(graph: Graph, value: str) -> Head:
    # Dividing each row by its sum changes its logarithms by a constant.
    value = _skip(graph, value, {"Identity", "Cast", "Normalizer"})
    node = graph.producer(value)
    if node is None:
        return _logarithm(graph, value)
    if node.operator == "Softmax" and node.attributes.integer("axis", -1) in {-1, 1}:
        return Head(graph, node.inputs[0], Finish.AS_IS)
    if node.operator == "Sigmoid":
        return Head(graph, node.inputs[0], Finish.LOG_SIGMOID)
    # An exponential is taken number by number, so reshaping behind it does not matter.
    power = graph.producer(_skip(graph, value, {"Identity", "Cast", "Reshape"}))
    if power is not None and power.operator == "Exp":
        return Head(graph, power.inputs[0], AS_IS)
    if node.domain == ML and node.operator in CLASSIFIERS and value == node.outputs[1]:
        settings = {**node.attributes.values, LOGARITHM: 1}
        return Head(graph.replacing(replace(node, attributes=Attributes(settings))), value, AS_IS)
    positive = _complement(graph, node)
    return _logarithm(graph, value) if positive is None else _binary(graph, positive)


def _logarithm(graph: Graph, value: str) -> Head:
    """Take logarithms; of shares of votes such that a share of 0 has one, and a gradient."""
    if not any(node.operator in VOTERS for node in graph.needed_for(value).nodes):
        return Head(graph, value, Finish.LOG)
    nothing, least, positive, more, logarithm = (
        f"{value}/{name}" for name in ("nothing", "least", "positive", "more", "logarithm")
    )
    constants = {nothing: np.float32(0), least: np.float32(LEAST_SHARE)}
    nodes = (
        _node("Clip", (value, nothing), positive),
        _node("Add", (positive, least), more),
        _node("Log", (more,), logarithm),
    )
    arrays = {name: np.array(number) for name, number in constants.items()}
    longer = replace(graph, nodes=graph.nodes + nodes, constants={**graph.constants, **arrays})
    return Head(longer, logarithm, AS_IS)


def _node(operator: str, inputs: tuple[str, ...], output: str) -> Node:
    return Node(output, STANDARD, operator, OPSET, inputs, (output,), Attributes({}))


def _complement(graph: Graph, node: Node) -> str | None:
    """Return ``p`` where a node joins ``1 - p`` and ``p``."""
    if node.operator != "Concat" or len(node.inputs) != 2:  # noqa: PLR2004 -- a pair
        return None
    first = graph.producer(node.inputs[0])
    if first is None or first.operator != "Sub" or first.inputs[1] != node.inputs[1]:
        return None
    one = graph.constants.get(first.inputs[0])
    return node.inputs[1] if one is not None and np.all(one == 1) else None


def _skip(graph: Graph, value: str, operators: set[str]) -> str:
    node = graph.producer(value)
    while node is not None and node.operator in operators and _passes(node):
        value = node.inputs[0]
        node = graph.producer(value)
    return value


def _passes(node: Node) -> bool:
    if node.operator == "Normalizer":
        return node.attributes.text("norm", "MAX") == "L1"
    if node.operator == "Cast":
        return node.attributes.integer("to") in FLOATS
    return node.domain in {STANDARD, ML}
