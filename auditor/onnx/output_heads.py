"""The output head of a model: from its output back to the logits."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from onnx import TensorProto

from auditor.onnx.graph import STANDARD_DOMAIN, GraphNode, NodeAttributes, OnnxGraph

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


class LogitTransform(StrEnum):
    """What turns a value of the graph into logits, up to a constant a row."""

    AS_IS = "as_is"
    LOG = "log"
    LOG_SIGMOID = "log_sigmoid"
    BINARY_AS_IS = "binary_as_is"
    BINARY_LOG_ODDS = "binary_log_odds"


AS_IS = LogitTransform.AS_IS
OPSET = 13
"""Of the nodes that are added to a graph."""


@dataclass(frozen=True, slots=True)
class OutputHead:
    """Where logits are taken from: a value of a graph, and what to do with it."""

    graph: OnnxGraph
    value: str
    finish: LogitTransform


def find_output_head(graph: OnnxGraph, output: str, scores: str) -> OutputHead:
    """Return where to take logits from, given what the target found the output to be.

    A final softmax, sigmoid or logistic post-transform is left out, so that scores which
    saturate at 0 or 1 still have a gradient; where there is none, logarithms are taken.
    """
    value = _skip(graph, output, {"Identity", "Cast", "ZipMap"})
    if scores == "binary_logit":
        return OutputHead(graph, value, LogitTransform.BINARY_AS_IS)
    if scores == "binary_probability":
        return _binary(graph, value)
    if scores in PROBABILITIES:
        return _several(graph, value)
    return OutputHead(graph, value, LogitTransform.AS_IS)


def _binary(graph: OnnxGraph, value: str) -> OutputHead:
    value = _skip(graph, value, {"Identity", "Cast"})
    node = graph.producer(value)
    if node is not None and node.operator == "Sigmoid":
        return OutputHead(graph, node.inputs[0], LogitTransform.BINARY_AS_IS)
    if node is not None and node.operator in {"Squeeze", "Reshape", "Flatten", "Unsqueeze"}:
        inner = _binary(graph, node.inputs[0])
        if inner.finish is LogitTransform.BINARY_AS_IS:
            return inner
    return OutputHead(graph, value, LogitTransform.BINARY_LOG_ODDS)


def _several(graph: OnnxGraph, value: str) -> OutputHead:
    # Dividing each row by its sum changes its logarithms by a constant.
    value = _skip(graph, value, {"Identity", "Cast", "Normalizer"})
    node = graph.producer(value)
    if node is None:
        return _logarithm(graph, value)
    if node.operator == "Softmax" and node.attributes.integer("axis", -1) in {-1, 1}:
        return OutputHead(graph, node.inputs[0], LogitTransform.AS_IS)
    if node.operator == "Sigmoid":
        return OutputHead(graph, node.inputs[0], LogitTransform.LOG_SIGMOID)
    # An exponential is taken number by number, so reshaping behind it does not matter.
    power = graph.producer(_skip(graph, value, {"Identity", "Cast", "Reshape"}))
    if power is not None and power.operator == "Exp":
        return OutputHead(graph, power.inputs[0], AS_IS)
    if node.domain == ML and node.operator in CLASSIFIERS and value == node.outputs[1]:
        settings = {**node.attributes.values, LOGARITHM: 1}
        return OutputHead(
            graph.replacing(replace(node, attributes=NodeAttributes(settings))), value, AS_IS
        )
    positive = find_complement(graph, node)
    return _logarithm(graph, value) if positive is None else _binary(graph, positive)


def _logarithm(graph: OnnxGraph, value: str) -> OutputHead:
    """Take logarithms; of shares of votes such that a share of 0 has one, and a gradient."""
    if not any(node.operator in VOTERS for node in graph.needed_for(value).nodes):
        return OutputHead(graph, value, LogitTransform.LOG)
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
    return OutputHead(longer, logarithm, AS_IS)


def _node(operator: str, inputs: tuple[str, ...], output: str) -> GraphNode:
    return GraphNode(
        output, STANDARD_DOMAIN, operator, OPSET, inputs, (output,), NodeAttributes({})
    )


def find_complement(graph: OnnxGraph, node: GraphNode) -> str | None:
    """Return ``p`` where a node joins ``1 - p`` and ``p``."""
    if node.operator != "Concat" or len(node.inputs) != 2:  # noqa: PLR2004 -- a pair
        return None
    first = graph.producer(node.inputs[0])
    if first is None or first.operator != "Sub" or first.inputs[1] != node.inputs[1]:
        return None
    one = graph.constants.get(first.inputs[0])
    return node.inputs[1] if one is not None and np.all(one == 1) else None


def _skip(graph: OnnxGraph, value: str, operators: set[str]) -> str:
    node = graph.producer(value)
    while node is not None and node.operator in operators and _passes(node):
        value = node.inputs[0]
        node = graph.producer(value)
    return value


def _passes(node: GraphNode) -> bool:
    if node.operator == "Normalizer":
        return node.attributes.text("norm", "MAX") == "L1"
    if node.operator == "Cast":
        return node.attributes.integer("to") in FLOATS
    return node.domain in {STANDARD_DOMAIN, ML}
