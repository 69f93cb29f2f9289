"""HTML page that compares two records, without network or scripts."""

from collections.abc import Mapping

from auditor._time import format_moment
from auditor.domain.readings import Unit
from auditor.domain.report_panels import IntervalRow, interval_ends
from auditor.policy.record_comparison_result import ComparisonDirection
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.formats.html import (
    build_style,
    build_template_environment,
    typeset_figures,
)
from auditor.reports.html.comparison import (
    BOUND,
    WAYS,
    ComparisonView,
    MetricChangeRow,
    build_headline,
    choose_tone,
    compare_verdicts,
    is_bound,
    is_of_machine,
    list_differences,
    list_finding_changes,
    list_metric_changes,
    list_unpaired_items,
    name_check,
    summarize_comparison,
    tabulate_declared,
)
from auditor.reports.html.run_details import RunFact, shorten_digest
from auditor.reports.plots.intervals import draw_interval_rows
from auditor.reports.plots.svg import SvgDrawing

MOST_PANELS = 24
MOST_ROWS = 500


def render_comparison_html(shown: ComparisonView) -> str:
    """Render the page; everything from the records is escaped."""
    sheet, policy = build_style()
    told = {"style": sheet, "content_security": policy}
    page = build_template_environment().get_template("compare.html.j2")
    made = page.render(**told, **build_comparison_context(shown))
    return typeset_figures(made).rstrip() + "\n"


def build_comparison_context(shown: ComparisonView) -> Mapping[str, object]:
    """Return what ``compared.html.j2`` speaks of: the page without its frame."""
    found, rows = shown.comparison, list_metric_changes(shown)
    moved = [row for row in rows if row.moved.way is not ComparisonDirection.SAME]
    still = [
        row
        for row in rows
        if row.moved.way is ComparisonDirection.SAME and not is_of_machine(row.moved)
    ]
    machine = [row for row in rows if is_of_machine(row.moved)]
    return {
        "short": shorten_digest,
        "ways": WAYS,
        "tone": choose_tone(found).value,
        "headline": build_headline(found),
        "sentences": (
            compare_verdicts(found),
            *summarize_comparison(found),
            *((BOUND,) if is_bound(moved) else ()),
        ),
        "several_targets": len(shown.after.record.request.targets) > 1,
        "unverified": shown.unverified,
        "taken": shown.taken,
        "sides": (("Before", _facts(shown, after=False)), ("After", _facts(shown, after=True))),
        "names": [_name(shown, after=False), _name(shown, after=True)],
        "moved": moved[:MOST_ROWS],
        "panels": [_panel(row, index) for index, row in enumerate(moved) if row.moved.change],
        "most_panels": MOST_PANELS,
        "still": [_cells(row) for row in still[:MOST_ROWS]],
        "of_machine": [_cells(row)[:-2] for row in machine[:MOST_ROWS]],
        "hidden": len(rows) - sum(len(part[:MOST_ROWS]) for part in (moved, still, machine)),
        "turned": list_finding_changes(found),
        "declared": tabulate_declared(found),
        "differences": list_differences(found),
        "incomparable": [
            (name_check(shown.after.checks, item.check), item.target, item.reason)
            for item in found.incomparable
        ],
        "lists": list_unpaired_items(shown),
    }


def _name(shown: ComparisonView, *, after: bool) -> str:
    request = (shown.after if after else shown.before).record.request
    return f"{request.name} {request.version}"


def _facts(shown: ComparisonView, *, after: bool) -> tuple[RunFact, ...]:
    inputs = shown.after if after else shown.before
    record, policy = inputs.record, inputs.record.request.policy
    return (
        RunFact("Model", _name(shown, after=after)),
        RunFact("Verdict", record.verdict.value),
        RunFact("Policy", f"{policy.name} {policy.version}"),
        RunFact("Decided on", format_moment(record.finished)),
        RunFact("Record", shorten_digest(record.digest), code=True),
        RunFact(
            "Signed by key", shorten_digest(inputs.signer) or "not named", code=bool(inputs.signer)
        ),
    )


def _cells(row: MetricChangeRow) -> tuple[str, ...]:
    return (
        f"{row.title}, {row.measure}",
        row.moved.after.target,
        row.before,
        row.after,
        row.change,
        row.basis,
    )


def _panel(row: MetricChangeRow, index: int) -> FigurePanel:
    return FigurePanel(
        title=row.name,
        target=row.moved.after.target,
        caption=f"{WAYS[row.moved.way]}: {row.change}; {row.basis}; {row.moved.after.check}.",
        drawing=_drawing(row, index),
        header=("", "Figure"),
        rows=(("Before", row.before), ("After", row.after)),
    )


def _drawing(row: MetricChangeRow, index: int) -> SvgDrawing | None:
    old, new = interval_ends(row.moved.before), interval_ends(row.moved.after)
    if old is None or new is None:
        return None
    drawn = [IntervalRow("Before", *old), IntervalRow("After", *new, series=1)]
    unit: Unit = row.moved.after.unit
    return draw_interval_rows(f"moved-{index}", f"{row.name}, before and after", drawn, unit)
