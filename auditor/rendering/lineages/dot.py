"""Lineage in the language of Graphviz."""

from collections.abc import Iterator

from auditor.rendering.lineages.traces import Trace, name_of, short_id, verdict_of
from auditor.rendering.visible import visible


def render_dot(trace: Trace) -> str:
    """Return a directed graph, each node under its whole id; all that is told is quoted."""
    return "\n".join(["digraph lineage {", "  rankdir=LR;", *_lines(trace), "}"]) + "\n"


def _lines(trace: Trace) -> Iterator[str]:
    for node in trace.nodes:
        told = (short_id(node), name_of(trace, node), verdict_of(trace, node))
        words = "\n".join(word for word in told if word)
        shape = "ellipse" if node in trace.activities else "box"
        yield f"  {_quoted(node)} [label={_quoted(words)}, shape={shape}];"
    for edge in trace.edges:
        label = edge.relation if edge.role == edge.relation else f"{edge.relation} ({edge.role})"
        yield f"  {_quoted(edge.source)} -> {_quoted(edge.destination)} [label={_quoted(label)}];"


def _quoted(words: str) -> str:
    lines = [visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in words.split("\n")]
    return '"' + "\\n".join(lines) + '"'
