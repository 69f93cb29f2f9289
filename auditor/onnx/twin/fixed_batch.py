"""Models whose batch size is fixed, run on any number of rows at once."""

from dataclasses import replace

import numpy as np

from auditor.onnx.graph import GraphNode, NodeAttributes, OnnxGraph, Tensor


def free_batch(graph: OnnxGraph, fixed: int) -> OnnxGraph:
    """Return the graph with reshapes to ``fixed`` rows turned into reshapes to as many as come.

    A graph may also use the number ``fixed`` for something else, so the result must be compared
    with the original. Constants are expected to be folded: what is left depends on the input.
    """
    constants = dict(graph.constants)
    nodes = []
    for node in graph.nodes:
        shape = _fixed_shape(graph, node, fixed)
        if shape is None:
            nodes.append(node)
            continue
        name = f"{node.outputs[0]}/any_batch"
        constants[name] = shape
        nodes.append(replace(node, inputs=(node.inputs[0], name), attributes=NodeAttributes({})))
    return replace(graph, nodes=tuple(nodes), constants=constants)


def _fixed_shape(graph: OnnxGraph, node: GraphNode, fixed: int) -> Tensor | None:
    """Return a reshape's target with its first axis open, where that axis was the batch."""
    if node.operator != "Reshape":
        return None
    shape = graph.constants.get(node.inputs[1])
    if shape is None or shape.ndim != 1 or len(shape) == 0 or shape[0] != fixed:
        return None
    empty = bool(node.attributes.integer("allowzero")) and bool((shape == 0).any())
    if empty:
        return None  # a 0 means no rows there, and without its attribute it would copy a length
    # Only one axis may be open: else keep the batch by reference (0 copies its length).
    return np.array([0 if (shape == -1).any() else -1, *shape[1:]])
