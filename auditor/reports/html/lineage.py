"""What a record rests on, as a graph in its report: a box a thing, evidence together by check."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.canonical import digest_json
from auditor.domain.lineage import Edge
from auditor.domain.provenance import provenance_of
from auditor.domain.records import AuditRecord
from auditor.rendering.lineages.traces import SHORT, Trace, kind_of_node, name_of, short_id
from auditor.rendering.plots.layers import Arrow, Box, layered
from auditor.rendering.plots.svg import Drawing

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
class _Group:
    """Things that one box stands for: what they are to the record, and their nodes."""

    head: str
    label: str
    nodes: tuple[str, ...]

    @property
    def column(self) -> int:
        """Where the box stands."""
        return SEEN if self.head in {EVIDENCE, *JUDGED_BY} else GIVEN


def lineage_graph(record: AuditRecord) -> Drawing | None:
    """Draw the lineage of a record, or nothing where it names none."""
    if not record.lineage:
        return None
    stated = provenance_of(record)
    run = stated.activities[0]
    root = next(edge.source for edge in stated.edges if _made_by(edge, run.id))
    trace = Trace.of((root,), stated.edges, stated.entities, stated.activities)
    done = Box(run.id, RAN, run.kind.capitalize(), run.ended, f"{run.id}, ended {run.ended}")
    came = f"Record: {record.verdict.value}"
    made = Box(root, CAME, came, short_id(root), root, f"v-{record.verdict.value}")
    groups = sorted(_groups(trace, run.id, root), key=_rank)
    boxes = [_box(trace, group) for group in groups]
    shown = [*boxes, done, made]
    return layered(KEY, TITLE, HEADS, shown, _arrows(groups, boxes, run.id, root))


def _made_by(edge: Edge, run: str) -> bool:
    return (edge.relation, edge.destination) == ("wasGeneratedBy", run)


def _groups(trace: Trace, run: str, root: str) -> Iterator[_Group]:
    """Yield what run and record rest on, each thing by itself where few are alike."""
    found: dict[Role, dict[str, None]] = {}
    for edge, node in (*trace.steps(run), *trace.steps(root)):
        if node != run:
            head, _, rest = edge.role.partition(":")
            found.setdefault((head, rest), {})[node] = None
    for head in dict.fromkeys(head for head, _ in found):
        own = {rest: tuple(nodes) for (name, rest), nodes in found.items() if name == head}
        yield from _of_one_head(head, own)


def _of_one_head(head: str, own: Mapping[str, tuple[str, ...]]) -> Iterator[_Group]:
    if head == EVIDENCE:
        families = len(own) > MOST_CHECKS
        for name in sorted({_family(rest) if families else rest for rest in own}):
            held = [own[rest] for rest in own if name == (_family(rest) if families else rest)]
            yield _Group(head, name, tuple(node for nodes in held for node in nodes))
        return
    nodes = [(rest, node) for rest, several in own.items() for node in several]
    if len(nodes) > MOST_ALIKE:
        yield _Group(head, "", tuple(node for _, node in nodes))
        return
    for rest, node in nodes:
        yield _Group(head, rest, (node,))


def _family(check: str) -> str:
    return check.partition(".")[0]


def _rank(group: _Group) -> tuple[int, str, str]:
    place = ORDER.index(group.head) if group.head in ORDER else len(ORDER)
    return place, group.head, group.label


def _box(trace: Trace, group: _Group) -> Box:
    """Return the box of a group; of several things the digest is that of their list."""
    name = NAMES.get(group.head, group.head.replace("_", " ").capitalize())
    if group.head == EVIDENCE:
        name = group.label or "Evidence"
    elif group.label:
        name = f"{name} {group.label}"
    if len(group.nodes) == 1:
        (node,) = group.nodes
        called = name_of(trace, node)
        files = [far for edge, far in trace.steps(node) if edge.relation == "hadMember"]
        whole = "\n".join([node, *files[:MOST_FILES]])
        return Box(node, group.column, f"{name} {called}".strip(), short_id(node), whole)
    together = digest_json(sorted(group.nodes)).removeprefix("sha256:")
    kind = kind_of_node(group.nodes[0])
    words = f"{len(group.nodes)} together {together[:SHORT]}…"
    whole = f"{len(group.nodes)} of kind {kind}; the list of their ids has the digest {together}"
    return Box(f"{group.head}:{group.label}", group.column, name, words, whole)


def _arrows(groups: Sequence[_Group], boxes: Sequence[Box], run: str, root: str) -> Iterator[Arrow]:
    seen = [box for group, box in zip(groups, boxes, strict=True) if group.head == EVIDENCE]
    for box in boxes:
        yield Arrow(box.key, run if box.column == GIVEN else root)
    for box in seen:
        yield Arrow(run, box.key)
    if not seen:
        yield Arrow(run, root)
