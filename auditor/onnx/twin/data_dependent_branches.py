"""Data-dependent control flow: branches that the values of rows decide, and not shapes alone.

A condition that only shapes decide is the same for any rows. One that values decide may send each
row another way, so a model that decides so can be run on one row at a time and not on several.
"""

from auditor.onnx.graph import GraphNode, OnnxGraph

BY_SHAPE = frozenset({"Shape", "Size", "SequenceLength", "OptionalHasElement", "EyeLike"})
"""Operators whose result does not depend on the values that they are given."""


def find_row_dependent_values(graph: OnnxGraph, rows: set[str]) -> set[str]:
    """Return the values of a graph that depend on those named ``rows`` by more than a shape."""
    found = set(rows)
    for node in graph.nodes:
        if node.operator not in BY_SHAPE and found.intersection(node.needs):
            # The outputs of a node that depend on rows: all, but for loops' own counters
            if node.operator != "Loop" or branches_on_rows(node, found):
                tainted = node.outputs
            else:
                body = node.bodies["body"]
                inside = find_row_dependent_values(body, found | _entering(node, body, found))
                tainted = tuple(
                    outer
                    for outer, inner in zip(node.outputs, body.outputs[1:], strict=True)
                    if inner in inside
                )
            found.update(tainted)
    return found


def branches_on_rows(node: GraphNode, rows: set[str]) -> bool:
    """Whether control flow, in ``node`` or inside it, depends on the values named ``rows``."""
    if not node.bodies:
        return False
    if node.operator == "If" and node.inputs[0] in rows:
        return True
    if node.operator == "Loop" and _loop_decides(node, rows):
        return True
    return any(
        branches_on_rows(inner, find_row_dependent_values(body, rows | _entering(node, body, rows)))
        for body in node.bodies.values()
        for inner in body.nodes
    )


def _loop_decides(node: GraphNode, rows: set[str]) -> bool:
    if rows.intersection(node.inputs[:2]):
        return True
    body = node.bodies["body"]
    return body.outputs[0] in find_row_dependent_values(body, rows | _entering(node, body, rows))


def _entering(node: GraphNode, body: OnnxGraph, rows: set[str]) -> set[str]:
    """Return the inputs of a sub-graph that depend on rows, after any number of iterations."""
    formal = list(body.inputs)
    if node.operator != "Loop":
        return set(formal) if rows.intersection(node.inputs) else set()
    carried = formal[2:]
    found = {inner for inner, outer in zip(carried, node.inputs[2:], strict=False) if outer in rows}
    for _ in carried:
        inside = find_row_dependent_values(body, rows | found)
        after = body.outputs[1 : 1 + len(carried)]
        found |= {inner for inner, made in zip(carried, after, strict=True) if made in inside}
    return found
