"""Lineage as a tree and in the language of Graphviz: everything once, nothing obeyed."""

from auditor.domain.lineage import LineageEdge, LineageEntity
from auditor.reports.html.lineage import AGAIN, build_tree_lines, render_dot
from auditor.reports.lineage_trace import LineageTrace

RECORD, RUN = "record:" + "a" * 64, "audit:aud-1"


def trace(*edges: LineageEdge, entities: tuple[LineageEntity, ...] = ()) -> LineageTrace:
    return LineageTrace.of((RECORD,), edges, entities, ())


def drawn(found: LineageTrace) -> list[str]:
    return [f"{line.stem}{line.node} {line.words}".rstrip() for line in build_tree_lines(found)]


def test_a_node_is_opened_once_and_cycles_end() -> None:
    edges = (
        LineageEdge(RECORD, "wasGeneratedBy", RUN, "audit"),
        LineageEdge(RUN, "used", "policy:p", "policy"),
        LineageEdge(RECORD, "wasInvalidatedBy", "challenge:c", "challenge"),
        LineageEdge("challenge:c", "used", RECORD, "record"),
    )
    assert drawn(trace(*edges)) == [
        "record:aaaaaaaaaaaa…",
        "├─ audit:aud-1",
        "│  └─ policy:p",
        "└─ challenge:c",
        f"   └─ record:aaaaaaaaaaaa… {AGAIN}",
    ]


def test_evidence_of_one_check_is_counted_and_that_of_another_apart() -> None:
    seen = [
        LineageEdge(RECORD, "wasDerivedFrom", f"evidence:{at}", "evidence:a") for at in range(9)
    ]
    alone = LineageEdge(RECORD, "wasDerivedFrom", "evidence:x", "evidence:b")
    assert drawn(trace(*seen, alone))[1:] == ["├─ 9 of kind evidence", "└─ evidence:x"]


def test_a_chain_longer_than_the_stack_is_written() -> None:
    chain = [
        LineageEdge(f"record:{at}", "wasDerivedFrom", f"record:{at + 1}", "") for at in range(3000)
    ]
    found = LineageTrace.of(("record:0",), chain, (), ())
    assert len(list(build_tree_lines(found))) == 3001


def test_names_cannot_break_out_of_their_quotes() -> None:
    bad = LineageEntity("record", "sha256:" + "a" * 64, attrs={"model": 'x"]; "y\\\n\u202e'})
    written = render_dot(trace(entities=(bad,)))
    assert written.count("\n") == 4
    assert 'x\\"]; \\"y\\\\\\n\\\\u{202e}' in written
