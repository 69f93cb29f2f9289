"""Lineage as a tree of lines, for people at a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.domain.lineage import Edge
from auditor.rendering.lineages.traces import Trace, kind_of_node, name_of, short_id, verdict_of

AGAIN = "(as above)"
SUMMED = frozenset({"evidence", "file"})
"""Kinds of which many hang below one node: of one role, more than a few are counted."""
MOST_ALIKE = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the tree: what leads to it, and the node, or how many nodes alike."""

    stem: str
    role: str
    node: str
    words: str
    verdict: str


def tree_lines(trace: Trace) -> Iterator[Line]:
    """Yield the lines from each root on; a node that stands there already is not opened again.

    Works with a list of its own: a chain of judgements may be longer than Python's stack is deep.
    """
    opened: set[str] = set()
    waiting = [(root, "", "", "") for root in reversed(trace.roots)]
    while waiting:
        node, role, stem, below = waiting.pop()
        again = node in opened and bool(trace.steps(node))
        words = AGAIN if again else name_of(trace, node)
        yield Line(stem, role, short_id(node), words, verdict_of(trace, node))
        if again:
            continue
        opened.add(node)
        shown = list(_grouped(trace, node))
        for place, (steps, head) in reversed(list(enumerate(shown))):
            last = place == len(shown) - 1
            stem_of, onward = f"{below}{'└─ ' if last else '├─ '}", f"{below}{'   ' if last else '│  '}"
            if len(steps) == 1:
                waiting.append((steps[0][1], head, stem_of, onward))
        yield from ()
