"""Lineage as a tree of lines, for people at a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.rendering.lineages.traces import Trace, kind_of_node, name_of, short_id, verdict_of

AGAIN = "(as above)"
SUMMED = frozenset({"evidence", "file"})
"""Kinds of which hundreds may hang below one node: those in one role are counted."""
MOST_ALIKE = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A line: the branch that it hangs on, in which role, which node (or how many), its words."""

    stem: str
    role: str
    node: str
    words: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class _Branch:
    """Nodes in one role that wait to be written, and where."""

    role: str
    nodes: tuple[str, ...]
    stem: str = ""
    below: str = ""


def tree_lines(trace: Trace) -> Iterator[Line]:
    """Yield the lines from each root on; a node that stands there already is not opened again."""
    opened: set[str] = set()
    # A list and no recursion: a chain of judgements may be longer than Python's stack is deep.
    waiting = [_Branch("", (root,)) for root in reversed(trace.roots)]
    while waiting:
        branch = waiting.pop()
        if len(branch.nodes) > 1:
            kind = kind_of_node(branch.nodes[0])
            yield Line(branch.stem, branch.role, f"{len(branch.nodes)} of kind {kind}")
            continue
        (node,) = branch.nodes
        again = node in opened and bool(trace.steps(node))
        words = AGAIN if again else name_of(trace, node)
        yield Line(branch.stem, branch.role, short_id(node), words, verdict_of(trace, node))
        if not again:
            opened.add(node)
            waiting.extend(reversed(list(_branches(trace, node, branch.below))))


def _branches(trace: Trace, node: str, below: str) -> Iterator[_Branch]:
    groups = list(_groups(trace, node))
    for place, (role, nodes) in enumerate(groups):
        last = place == len(groups) - 1
        stem, onward = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield _Branch(role, nodes, below + stem, below + onward)


def _groups(trace: Trace, node: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a node leads to, one by one, or together where many are alike."""
    alike: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for edge, far in trace.steps(node):
        kind = kind_of_node(far)
        alike.setdefault((kind, "" if kind == "file" else edge.role), []).append((edge.role, far))
    for (kind, role), steps in sorted(alike.items()):
        if kind in SUMMED and len(steps) > MOST_ALIKE:
            yield role, tuple(far for _, far in steps)
        else:
            yield from ((own, (far,)) for own, far in steps)
