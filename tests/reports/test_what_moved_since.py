"""What report and summary say of a record's baseline: what moved, or why that cannot be told."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from compared_records import LOWER, SINCE, against
from pages import Page
from rendering_records import BLOBS, FAILING, inputs_of

from auditor.domain.readings import Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.policy.record_comparison_result import MetricPlace
from auditor.reports.formats.html import render_html
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.html.baseline_changes import MOST_MOVED, BaselineChanges, compare_with_baseline
from auditor.reports.plots.intervals import draw_change_strip
from auditor.reports.rendering_inputs import ReportInputs


def told(inputs: ReportInputs) -> BaselineChanges:
    found = compare_with_baseline(inputs)
    assert found is not None
    return found


def test_a_record_with_no_baseline_has_no_such_part_and_names_the_cure() -> None:
    inputs = inputs_of(FAILING)
    page = Page(render_html(inputs))
    assert compare_with_baseline(inputs) is None
    assert "since" not in page.ids()
    assert "auditor audit --baseline last" in page.text()
    assert "## Since" not in render_markdown(inputs)


def test_what_got_worse_stands_first_in_the_report_and_in_the_summary() -> None:
    found = told(SINCE["since-worse"])
    ways = [item.way for item in found.moved]
    assert ways == sorted(ways, key=["Got worse", "Got better", "Moved"].index)
    assert len(set(ways)) == 3
    page = Page(render_html(SINCE["since-worse"]))
    assert "Since digits-cnn 1.2.0" in page.lines
    assert page.ids().count("since") == 1
    first = found.moved[0].row
    at = page.lines.index("Figures that moved")
    assert page.lines[at:].index(f"{first.title} {first.measure}") < page.lines[at:].index(
        "Got better"
    )
    summary = render_markdown(SINCE["since-worse"])
    assert summary.index("## Findings") < summary.index("## Since digits-cnn 1.2.0")
    assert f"| Got worse | {first.title} |" in summary
    assert "Other differences: version, seed." in summary
    assert "5 more figures moved." in summary


def test_of_what_got_worse_the_clearest_stands_first() -> None:
    changes = [item.row.moved.change for item in told(SINCE["since-worse"]).moved]
    clear = [abs(one.value) / (one.high - one.low) for one in changes[:10] if one is not None]
    assert len(set(clear)) > 5
    assert clear == sorted(clear, reverse=True)


def test_the_figures_are_those_that_both_records_sign() -> None:
    signed = {
        (MetricPlace.of(m), m.value, m.low, m.high)
        for record in (FAILING, LOWER)
        for m in record.readings
        if isinstance(m, Measurement)
    }
    for shift in told(SINCE["since-worse"]).moved:
        for m in (shift.row.moved.before, shift.row.moved.after):
            assert (MetricPlace.of(m), m.value, m.low, m.high) in signed


def test_findings_that_turned_stand_with_both_outcomes() -> None:
    turned = told(SINCE["since-worse"]).turned
    assert ("Passed", "Failed") in {(row.before, row.after) for row in turned}
    better = told(SINCE["since-better"]).turned
    assert {row.before for row in better} == {"Failed"}
    assert better[0].after == "Undecided"


def test_a_record_held_against_the_same_figures_says_that_none_moved() -> None:
    page = Page(render_html(SINCE["since-same"]))
    assert "none moved" in page.text()
    assert "No finding came out otherwise." in page.lines
    assert "Figures that moved" not in page.lines


def test_names_of_a_hostile_baseline_are_shown_and_never_obeyed() -> None:
    html = render_html(SINCE["since-hostile"])
    assert "<script" not in html
    assert 'Since <script>alert("x")' in Page(html).text()
    assert "\n## Since \\<script\\>" in render_markdown(SINCE["since-hostile"])


def test_of_many_figures_some_are_shown_and_the_others_counted() -> None:
    (one,) = (
        item
        for item in FAILING.readings
        if isinstance(item, Measurement) and (item.check, item.metric) == ACCURACY
    )
    many = tuple(replace(one, slice={"town": str(at)}) for at in range(MOST_MOVED + 7))
    low = tuple(replace(item, value=0.1, low=0.05, high=0.15) for item in many)
    before, after = (replace(FAILING, readings=all_, findings=()) for all_ in (many, low))
    found = told(against(before, after))
    assert (len(found.moved), found.more) == (MOST_MOVED, 7)
    assert "7 more moved:" in Page(render_html(against(before, after))).text()


ACCURACY = ("quality.accuracy", "accuracy")


def held(before: AuditRecord) -> ReportInputs:
    return against(before, FAILING)


def reading(raw: bytes) -> ReportInputs:
    """The same record, whose baseline's bytes are others."""
    inputs = held(FAILING)
    blobs: Mapping[str, bytes] = {**BLOBS, FAILING.digest: raw}
    return replace(inputs, blob=blobs.__getitem__)


UNREADABLE: Mapping[str, tuple[Callable[[], ReportInputs], str]] = {
    "missing": (
        lambda: replace(held(FAILING), blob=BLOBS.__getitem__),
        "its bytes are not among the evidence",
    ),
    "no record": (lambda: reading(b"{}"), "the baseline sha256:"),
    "another schema": (
        lambda: reading(FAILING.canonical().replace(b"auditor/record/v1", b"auditor/record/v9")),
        "the baseline sha256:",
    ),
    "nothing in common": (
        lambda: held(replace(FAILING, readings=(), findings=())),
        "have no figure in common",
    ),
    "another confidence": (
        lambda: held(replace(FAILING, confidence=0.9)),
        "its intervals hold at 90 %, and those of this record at 95 %",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_baseline_that_cannot_be_compared_with_is_told_and_never_left_out(name: str) -> None:
    make, why = UNREADABLE[name]
    inputs = make()
    found = told(inputs)
    assert why in found.why
    page, summary = Page(render_html(inputs)), render_markdown(inputs)
    assert any(line.startswith("No figure can be compared: ") for line in page.lines)
    assert found.title in page.lines
    assert "## Since" in summary
    assert "No figure can be compared: " in summary


def test_a_strip_sets_both_intervals_on_one_scale() -> None:
    drawing = draw_change_strip("k", "Accuracy", (0.9, 0.86, 0.93), (0.6, 0.55, 0.65), Unit.SHARE)
    before, after = (
        next(str(shape) for shape in drawing.shapes if f'mark series-{at}"' in str(shape))
        for at in (0, 1)
    )
    assert 'cx="170.74"' in before
    assert 'x="32.61"' in after
    assert "Before: 90 %; after: 60 %" in drawing.description


@pytest.mark.parametrize("one", [0.0, 1e20, 5e-324])
def test_a_strip_of_one_and_the_same_number_can_be_drawn(one: float) -> None:
    drawn = draw_change_strip("k", "t", (one, one, one), (one, one, one), Unit.NONE).svg()
    assert "nan" not in drawn
    assert "inf" not in drawn
