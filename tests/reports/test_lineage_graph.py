"""The lineage as a graph in the report: all is in it, nothing runs over, nothing is made up."""

import re
from dataclasses import replace

import pytest
from rendering_records import EVERY_RECORD, FAILING, SILENT, inputs_of

from auditor.domain.json import compute_digest
from auditor.domain.lineage import LineageEdge
from auditor.domain.records import AuditRecord
from auditor.reports.formats.html import render_html
from auditor.reports.html.lineage import draw_lineage
from auditor.reports.plots.layered_graph import TALL, WIDTH

BARE = replace(FAILING.request, inputs=(), artifact=None)
CORNERS = re.compile(r'<rect x="([\d.]+)" y="([\d.]+)"[^>]*class="node"')


def with_edges(*edges: tuple[str, str, str]) -> AuditRecord:
    made = [LineageEdge(FAILING.id, relation, target, role) for relation, target, role in edges]
    return replace(FAILING, lineage=tuple(made), request=BARE)


def drawn(record: AuditRecord) -> str:
    drawing = draw_lineage(record)
    assert drawing is not None
    return str(drawing.svg())


@pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)
def test_every_edge_of_the_record_has_its_whole_digest_under_a_pointer(
    record: AuditRecord,
) -> None:
    page = render_html(inputs_of(record))
    if not record.lineage:
        assert 'class="graph"' not in page
        return
    titles = "".join(re.findall(r"<g><title>.*?</title>", page, re.DOTALL))
    assert record.digest.removeprefix("sha256:") in titles
    alone = {edge.destination for edge in record.lineage if not edge.role.startswith("evidence")}
    for named in alone:
        assert named.rpartition(":")[2] in titles


def test_no_lineage_is_drawn_where_none_is_told() -> None:
    assert draw_lineage(SILENT) is None


def test_evidence_is_one_box_a_check_and_of_many_checks_one_a_family() -> None:
    def seen(checks: int) -> AuditRecord:
        return with_edges(
            *(
                (
                    "wasDerivedFrom",
                    compute_digest(f"{check} {blob}".encode()),
                    f"evidence:data.c{check:02}",
                )
                for check in range(checks)
                for blob in range(3)
            )
        )

    few, many = drawn(seen(4)), drawn(seen(30))
    assert [few.count(f">data.c{at:02}<") for at in range(4)] == [1, 1, 1, 1]
    assert few.count(">3 together ") == 4
    assert "data.c00" not in many
    assert many.count(">90 together ") == 1


def test_boxes_stand_inside_and_apart() -> None:
    edges = [
        ("used", compute_digest(b"%d" % at), role) for at, role in enumerate(("artifact", "recipe"))
    ]
    edges += [("used", compute_digest(b"c%d" % at), f"catalogue:c{at}") for at in range(5)]
    edges += [("wasDerivedFrom", compute_digest(b"e"), "evidence:a.b")]
    record = with_edges(*edges)
    corners = [(float(x), float(y)) for x, y in CORNERS.findall(drawn(record))]
    assert len(corners) == len(set(corners)) == 6
    drawing = draw_lineage(record)
    assert drawing is not None
    for x, y in corners:
        assert 0 <= x < WIDTH
        assert 0 < y < y + TALL - 1 < drawing.height
        assert not [other for other in corners if other[0] == x and 0 < other[1] - y < TALL]


def test_a_run_that_saw_nothing_leads_to_the_record_all_the_same() -> None:
    picture = drawn(with_edges(("used", compute_digest(b"m"), "artifact")))
    assert picture.count('class="flow"') == 2


def test_names_are_shown_and_never_obeyed() -> None:
    request = replace(FAILING.request, policy=replace(FAILING.request.policy, name="<script>x"))
    record = replace(FAILING, request=request)
    assert "<script>" not in drawn(record)
