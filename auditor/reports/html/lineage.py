"""Provenance graph of an audit record as SVG, as a text tree, and as Graphviz DOT."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.json import digest_json
from auditor.domain.provenance import build_provenance
from auditor.domain.records import AuditRecord
from auditor.reports.lineage_trace import (
    SHORT,
    LineageTrace,
    find_node_name,
    find_node_verdict,
    parse_node_kind,
    shorten_node_id,
)
from auditor.reports.plots.layered_graph import GraphArrow, GraphBox, draw_layered_graph
from auditor.reports.plots.svg import SvgDrawing
from auditor.reports.wording import escape_invisible

KEY, TITLE = "lineage", "What this record rests on"
GIVEN, RAN, SEEN, CAME = range(4)
HEADS = ("Given", "Run", "Seen, judged and signed by", "Came to")
MOST_CHECKS = 12
"""Of more, the evidence is drawn together by family."""
MOST_ALIKE, MOST_FILES = 2, 20
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "artifact": "Model",
        "parent": "Parent model",
        "evaluation": "Evaluation data",
        "training": "Training data",
        "reference": "Reference data",
        "production": "Production data",
        "audit_file": "Audit file",
        "system": "System file",
        "risks": "File of risks",
        "baseline": "Baseline record",
        "code": "Code of auditor",
        "environment": "Environment",
        "recipe": "Training code",
        "document": "Document",
        "catalogue": "Catalogue",
        "input": "Further input",
        "signer": "Signing key",
        "record": "Earlier record",
    }
)
JUDGED_BY = ("policy", "catalogue", "waiver", "trust_policy", "record", "baseline", "signer")
"""Roles of what the record itself rests on, whatever ran."""
EVIDENCE = "evidence"
ORDER = ("artifact", "parent", "evaluation", "training", "target", EVIDENCE, *JUDGED_BY)
Role = tuple[str, str]
"""The head of a role, and what tells its things apart."""


@dataclass(frozen=True, slots=True)
class _NodeGroup:
    """Things that one box stands for: what they are to the record, and their nodes."""

    head: str
    label: str
    nodes: tuple[str, ...]

    @property
    def column(self) -> int:
        """Where the box stands."""
        return SEEN if self.head in {EVIDENCE, *JUDGED_BY} else GIVEN


def draw_lineage(record: AuditRecord) -> SvgDrawing | None:
    """Draw the lineage of a record, or nothing where it names none."""
    if not record.lineage:
        return None
    stated = build_provenance(record)
    run = stated.activities[0]
    root = next(
        edge.source
        for edge in stated.edges
        if (edge.relation, edge.destination) == ("wasGeneratedBy", run.id)
    )
    trace = LineageTrace.of((root,), stated.edges, stated.entities, stated.activities)
    done = GraphBox(run.id, RAN, run.kind.capitalize(), run.ended, f"{run.id}, ended {run.ended}")
    came = f"Record: {record.verdict.value}"
    made = GraphBox(root, CAME, came, shorten_node_id(root), root, f"v-{record.verdict.value}")
    groups = sorted(_groups(trace, run.id, root), key=_rank)
    boxes = [_box(trace, group) for group in groups]
    shown = [*boxes, done, made]
    return draw_layered_graph(KEY, TITLE, HEADS, shown, _arrows(groups, boxes, run.id, root))


def _groups(trace: LineageTrace, run: str, root: str) -> Iterator[_NodeGroup]:
    """Yield what run and record rest on, each thing by itself where few are alike."""
    found: dict[Role, dict[str, None]] = {}
    for edge, node in (*trace.steps(run), *trace.steps(root)):
        if node != run:
            head, _, rest = edge.role.partition(":")
            found.setdefault((head, rest), {})[node] = None
    for head in dict.fromkeys(head for head, _ in found):
        own = {rest: tuple(nodes) for (name, rest), nodes in found.items() if name == head}
        yield from _of_one_head(head, own)


def _of_one_head(head: str, own: Mapping[str, tuple[str, ...]]) -> Iterator[_NodeGroup]:
    if head == EVIDENCE:
        families = len(own) > MOST_CHECKS
        for name in sorted({_family(rest) if families else rest for rest in own}):
            held = [own[rest] for rest in own if name == (_family(rest) if families else rest)]
            yield _NodeGroup(head, name, tuple(node for nodes in held for node in nodes))
        return
    nodes = [(rest, node) for rest, several in own.items() for node in several]
    if len(nodes) > MOST_ALIKE:
        yield _NodeGroup(head, "", tuple(node for _, node in nodes))
        return
    for rest, node in nodes:
        yield _NodeGroup(head, rest, (node,))


def _family(check: str) -> str:
    return check.partition(".")[0]


def _rank(group: _NodeGroup) -> tuple[int, str, str]:
    place = ORDER.index(group.head) if group.head in ORDER else len(ORDER)
    return place, group.head, group.label


def _box(trace: LineageTrace, group: _NodeGroup) -> GraphBox:
    """Return the box of a group; of several things the digest is that of their list."""
    name = NAMES.get(group.head, group.head.replace("_", " ").capitalize())
    if group.head == EVIDENCE:
        name = group.label or "Evidence"
    elif group.label:
        name = f"{name} {group.label}"
    if len(group.nodes) == 1:
        (node,) = group.nodes
        called = find_node_name(trace, node)
        files = [far for edge, far in trace.steps(node) if edge.relation == "hadMember"]
        whole = "\n".join([node, *files[:MOST_FILES]])
        return GraphBox(
            node, group.column, f"{name} {called}".strip(), shorten_node_id(node), whole
        )
    together = digest_json(sorted(group.nodes)).hex
    kind = parse_node_kind(group.nodes[0])
    words = f"{len(group.nodes)} together {together[:SHORT]}…"
    whole = f"{len(group.nodes)} of kind {kind}; the list of their ids has the digest {together}"
    return GraphBox(f"{group.head}:{group.label}", group.column, name, words, whole)


def _arrows(
    groups: Sequence[_NodeGroup], boxes: Sequence[GraphBox], run: str, root: str
) -> Iterator[GraphArrow]:
    seen = [box for group, box in zip(groups, boxes, strict=True) if group.head == EVIDENCE]
    for box in boxes:
        yield GraphArrow(box.key, run if box.column == GIVEN else root)
    for box in seen:
        yield GraphArrow(run, box.key)
    if not seen:
        yield GraphArrow(run, root)


AGAIN = "(as above)"
SUMMED = frozenset({"evidence", "file"})
"""Kinds of which hundreds may hang below one node: those in one role are counted."""
MOST_LISTED_ALIKE = 3


@dataclass(frozen=True, slots=True)
class TreeLine:
    """A line: the branch that it hangs on, in which role, which node (or how many), its words."""

    stem: str
    role: str
    node: str
    words: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class _TreeBranch:
    """Nodes in one role that wait to be written, and where."""

    role: str
    nodes: tuple[str, ...]
    stem: str = ""
    below: str = ""


def build_tree_lines(trace: LineageTrace) -> Iterator[TreeLine]:
    """Yield the lines from each root on; a node that stands there already is not opened again."""
    opened: set[str] = set()
    # A list and no recursion: a chain of judgements may be longer than Python's stack is deep.
    waiting = [_TreeBranch("", (root,)) for root in reversed(trace.roots)]
    while waiting:
        branch = waiting.pop()
        if len(branch.nodes) > 1:
            kind = parse_node_kind(branch.nodes[0])
            yield TreeLine(branch.stem, branch.role, f"{len(branch.nodes)} of kind {kind}")
            continue
        (node,) = branch.nodes
        again = node in opened and bool(trace.steps(node))
        words = AGAIN if again else find_node_name(trace, node)
        yield TreeLine(
            branch.stem, branch.role, shorten_node_id(node), words, find_node_verdict(trace, node)
        )
        if not again:
            opened.add(node)
            branches = []
            below = branch.below
            groups = list(_groups_tree(trace, node))
            for place, (role, nodes) in enumerate(groups):
                last = place == len(groups) - 1
                stem, onward = ("└─ ", "   ") if last else ("├─ ", "│  ")
                branches.append(_TreeBranch(role, nodes, below + stem, below + onward))
            waiting.extend(reversed(branches))


def _groups_tree(trace: LineageTrace, node: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a node leads to, one by one, or together where many are alike."""
    alike: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for edge, far in trace.steps(node):
        kind = parse_node_kind(far)
        alike.setdefault((kind, "" if kind == "file" else edge.role), []).append((edge.role, far))
    for (kind, role), steps in sorted(alike.items()):
        if kind in SUMMED and len(steps) > MOST_LISTED_ALIKE:
            yield role, tuple(far for _, far in steps)
        else:
            yield from ((own, (far,)) for own, far in steps)


def render_dot(trace: LineageTrace) -> str:
    """Return a directed graph, each node under its whole id; all that is told is quoted."""
    return "\n".join(["digraph lineage {", "  rankdir=LR;", *_lines(trace), "}"]) + "\n"


def _lines(trace: LineageTrace) -> Iterator[str]:
    for node in trace.nodes:
        told = (shorten_node_id(node), find_node_name(trace, node), find_node_verdict(trace, node))
        words = "\n".join(word for word in told if word)
        shape = "ellipse" if node in trace.activities else "box"
        yield f"  {_quoted(node)} [label={_quoted(words)}, shape={shape}];"
    for edge in trace.edges:
        label = edge.relation if edge.role == edge.relation else f"{edge.relation} ({edge.role})"
        yield f"  {_quoted(edge.source)} -> {_quoted(edge.destination)} [label={_quoted(label)}];"


def _quoted(words: str) -> str:
    lines = [
        escape_invisible(line).replace("\\", "\\\\").replace('"', '\\"')
        for line in words.split("\n")
    ]
    return '"' + "\\n".join(lines) + '"'
