"""From a model's output back to its logits: what the last softmax or sigmoid was applied to."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from onnx import TensorProto

from auditor.twins.graphs import STANDARD, Attributes, Graph, Node

ML = "ai.onnx.ml"
PROBABILITIES = frozenset({"probabilities", "zipmap", "binary_probability"})
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
        return Head(graph, value, Finish.LOG)
    if node.operator == "Softmax" and node.attributes.integer("axis", -1) in {-1, 1}:
        return Head(graph, node.inputs[0], Finish.AS_IS)
    if node.operator == "Sigmoid":
        return Head(graph, node.inputs[0], Finish.LOG_SIGMOID)
    if node.operator == "LinearClassifier":
        return _classifier(graph, node, value)
    positive = _complement(graph, node)
    return Head(graph, value, Finish.LOG) if positive is None else _binary(graph, positive)


def _classifier(graph: Graph, node: Node, value: str) -> Head:
    finishes = {"SOFTMAX": Finish.AS_IS, "LOGISTIC": Finish.LOG_SIGMOID}
    finish = finishes.get(node.attributes.text("post_transform", "NONE"))
    if finish is None:
        return Head(graph, value, Finish.LOG)
    settings = {**node.attributes.values, "post_transform": b"NONE"}
    return Head(graph.replacing(replace(node, attributes=Attributes(settings))), value, finish)


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
