"""What a comparison comes to: green for a pass alone, and worse for what moved alone."""

from dataclasses import replace
from itertools import product

import pytest
from compared_records import juxtaposed
from rendering_records import FAILING, PASSING
from rich.console import Console

from auditor.cli.compare_output import show_comparison
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.policy.record_comparison_result import ComparisonConclusion
from auditor.reports.formats.comparison_html import render_comparison_html
from auditor.reports.formats.comparison_markdown import render_comparison_markdown
from auditor.reports.html.comparison import ComparisonView

CASES = sorted(product(Verdict, Verdict))
ENDS = {Verdict.PASS: Outcome.PASSED, Verdict.FAIL: Outcome.FAILED,
        Verdict.INCONCLUSIVE: Outcome.UNKNOWN}  # fmt: skip


def other_rules(record: AuditRecord, verdict: Verdict, name: str) -> AuditRecord:
    """Return the same figures under rules of other names, which came out so."""
    findings = tuple(
        replace(it, rule=f"{name}-{it.rule}", outcome=ENDS[verdict]) for it in record.findings
    )
    return replace(record, findings=findings)


def told(shown: ComparisonView) -> tuple[str, str, str]:
    """Return what the terminal, the page and the Markdown say."""
    console = Console(width=200)
    with console.capture() as seen:
        show_comparison(console, shown, everything=False)
    return seen.get(), render_comparison_html(shown), render_comparison_markdown(shown)


@pytest.mark.parametrize(("before", "after"), CASES)
def test_the_verdict_alone_decides_where_no_figure_moved(before: Verdict, after: Verdict) -> None:
    old = other_rules(PASSING, before, "old")
    shown = juxtaposed(old, other_rules(PASSING, after, "new"))
    found = shown.comparison
    fell = before is Verdict.PASS is not after
    assert found.verdicts == (before, after)
    assert found.got_worse is found.to_json()["got_worse"] is fell
    assert found.to_json()["conclusion"] == ("no_pass_any_more" if fell else "nothing_got_worse")
    for text in told(shown):
        assert "Something got worse" not in text
        assert ("Nothing got worse" in text) is not fell
        assert (f"changed from {before} to {after}" in text) is fell
    page = told(shown)[1]
    green = '<header class="verdict v-pass">' in page
    assert green is (after is Verdict.PASS)
    assert ("v-fail" in page.split("</header>")[0].split("</style>")[-1]) is (
        fell or after is Verdict.FAIL
    )


def test_a_rule_that_is_lost_where_no_figure_moved_is_called_that() -> None:
    kept = replace(FAILING.findings[0], outcome=Outcome.PASSED)
    lost = replace(kept, outcome=Outcome.UNKNOWN)
    also = replace(kept, rule="another", outcome=Outcome.UNKNOWN)
    before, after = (replace(FAILING, findings=(it, also)) for it in (kept, lost))
    shown = juxtaposed(before, after)
    assert shown.comparison.conclusion is ComparisonConclusion.RULES
    for text in told(shown):
        assert "Something got worse" not in text
        assert "A required rule is not kept any more; no figure got worse" in text


def test_a_rule_that_was_undecided_and_fails_now_is_worse() -> None:
    undecided = replace(FAILING.findings[0], outcome=Outcome.UNKNOWN)
    also = replace(undecided, rule="another", outcome=Outcome.FAILED)
    failed = replace(undecided, outcome=Outcome.FAILED)
    before, after = (replace(FAILING, findings=(it, also)) for it in (undecided, failed))
    shown = juxtaposed(before, after)
    assert shown.comparison.conclusion is ComparisonConclusion.RULES
    assert shown.comparison.got_worse
    for text in map(" ".join, (it.split() for it in told(shown))):
        assert "A required rule that was undecided fails now; no figure got worse" in text
        assert "1 required rule that was undecided fails now." in text
    assert not juxtaposed(after, before).comparison.got_worse


def test_rounding_that_differs_between_runs_is_never_worse() -> None:
    apart = Measurement(
        check="hardware.determinism", target="cpu", metric="max_score_difference", value=0.0000610,
        bound=BoundKind.AT_LEAST, method="largest over 2 runs", n=2, unit=Unit.NONE,
        params={"varied": "rows"},
    )  # fmt: skip
    before, after = (
        replace(PASSING, readings=(*PASSING.readings, replace(apart, value=value)))
        for value in (0.0000610, 0.000122)
    )
    assert not juxtaposed(before, after).comparison.got_worse
    assert not juxtaposed(after, before).comparison.got_worse


def test_declarations_that_changed_stand_first_and_are_never_green() -> None:
    asked = replace(PASSING.request, declared={"task.threshold": 0.3}, version="9")
    shown = juxtaposed(PASSING, replace(PASSING, request=asked))
    assert shown.comparison.conclusion is ComparisonConclusion.DECLARED
    assert shown.comparison.undecided
    assert not shown.comparison.got_worse
    tagged = replace(PASSING, request=replace(PASSING.request, tags=("new",)))
    assert not juxtaposed(PASSING, tagged).comparison.undecided
    change = "task.threshold 0.5 \N{RIGHTWARDS ARROW} 0.3"
    for text in told(shown):
        assert "Nothing got worse" not in text
        assert text.index("Declarations that changed") < text.index("Other differences")
        assert change in " ".join(text.split())
    terminal, page, _ = told(shown)
    assert "nothing comparable got worse" in terminal
    assert f"quality.accuracy, quality.calibration, fairness.groups on cpu: {change}" in terminal
    assert '<header class="verdict v-pass">' not in page
