"""The scores that decide, before the last softmax or sigmoid of a graph."""

from dataclasses import replace

import numpy as np

from auditor.domain.targets import ModelInterface
from auditor.errors import TwinError
from auditor.onnx.decision_margins import CURE
from auditor.onnx.graph import GraphNode, NodeAttributes, OnnxGraph
from auditor.onnx.output_heads import FLOATS, ML, LogitTransform, OutputHead, find_complement

PASSING = frozenset({"Identity", "ZipMap"})
RESHAPING = frozenset({"Squeeze", "Unsqueeze", "Reshape", "Flatten"})


def find_scores(graph: OnnxGraph, interface: ModelInterface) -> OutputHead:
    """Return the value whose order, or whose place beside a limit, decides a row.

    Unlike a twin's head it is never put through a logarithm: bounds need it as it is. Raises
    ``TwinError`` where the model gives labels alone.
    """
    value = _skip(graph, interface.output)
    match interface.scores:
        case "logits":
            return OutputHead(graph, value, LogitTransform.AS_IS)
        case "binary_logit":
            return OutputHead(graph, value, LogitTransform.BINARY_AS_IS)
        case "binary_probability":
            return _binary(graph, value)
        case "probabilities" | "zipmap":
            node = graph.producer(value)
            if node is None:
                return OutputHead(graph, value, LogitTransform.LOG)
            if node.operator == "Softmax" and node.attributes.integer("axis", -1) in {-1, 1}:
                return OutputHead(graph, node.inputs[0], LogitTransform.AS_IS)
            if node.operator == "Sigmoid":
                return OutputHead(graph, node.inputs[0], LogitTransform.LOG_SIGMOID)
            if node.domain == ML and node.operator == "LinearClassifier":
                finishes = {
                    "SOFTMAX": LogitTransform.AS_IS,
                    "LOGISTIC": LogitTransform.LOG_SIGMOID,
                    "NONE": LogitTransform.LOG,
                }
                transform = node.attributes.text("post_transform", "NONE")
                if transform not in finishes:
                    raise TwinError(f"the scores are transformed by {transform}", cure=CURE)
                plain = NodeAttributes({**node.attributes.values, "post_transform": b"NONE"})
                bare = graph.replacing(replace(node, attributes=plain))
                return OutputHead(bare, node.outputs[1], finishes[transform])
            positive = find_complement(graph, node)
            return (
                OutputHead(graph, value, LogitTransform.LOG)
                if positive is None
                else _binary(graph, positive)
            )
    raise TwinError("the model gives no scores of classes", cure=CURE)


def _binary(graph: OnnxGraph, value: str) -> OutputHead:
    inner = value
    node = graph.producer(inner)
    while node is not None and node.operator in RESHAPING:
        inner = _skip(graph, node.inputs[0])
        node = graph.producer(inner)
    if node is not None and node.operator == "Sigmoid":
        return OutputHead(graph, node.inputs[0], LogitTransform.BINARY_AS_IS)
    return OutputHead(graph, value, LogitTransform.BINARY_LOG_ODDS)


def _skip(graph: OnnxGraph, value: str) -> str:
    node = graph.producer(value)
    while node is not None and _passes(graph, node):
        value = node.inputs[0]
        node = graph.producer(value)
    return value


def _passes(graph: OnnxGraph, node: GraphNode) -> bool:
    if node.operator == "Cast":
        return node.attributes.integer("to") in FLOATS
    if node.operator == "Mul":  # by 1, as LightGBM's converter does
        factor = graph.constants.get(node.inputs[1])
        return factor is not None and bool(np.all(factor == 1))
    return node.operator in PASSING
