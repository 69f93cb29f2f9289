"""Markdown that compares two records, for a pull request."""

from collections.abc import Iterator, Sequence

from auditor.policy.record_comparison_result import ComparisonDirection
from auditor.reports.formats.markdown import escape_markdown
from auditor.reports.html.comparison import (
    DECLARED,
    OF_MACHINE,
    WAYS,
    ComparisonView,
    build_headline,
    compare_verdicts,
    is_of_machine,
    list_differences,
    list_finding_changes,
    list_metric_changes,
    list_skipped_checks,
    list_unpaired_items,
    summarize_comparison,
    tabulate_declared,
)
from auditor.reports.wording import escape_invisible

MOST_LINES = 200


def render_comparison_markdown(shown: ComparisonView) -> str:
    """Render a comparison; what comes from the records is escaped and stays on its line."""
    found = shown.comparison
    lines = [f"# {build_headline(found)}", ""]
    sentences = (shown.unverified, compare_verdicts(found), *summarize_comparison(found))
    lines += [escape_markdown(text) for text in sentences if text]
    lines += _table(DECLARED, ("", "Before", "After"), tabulate_declared(found))
    rows = [
        row for row in list_metric_changes(shown) if row.moved.way is not ComparisonDirection.SAME
    ]
    lines += _table(
        "Figures that moved",
        ("Figure", "Measure", "Target", "", "Before", "After", "Change"),
        [
            (
                row.title,
                row.measure,
                row.moved.after.target,
                WAYS[row.moved.way],
                row.before,
                row.after,
                row.change,
            )
            for row in rows
        ],
    )
    turned = list_finding_changes(found)
    lines += _table(
        "Findings that changed",
        ("Rule", "Where", "Before", "After"),
        [(row.turned.title, row.where, row.before, f"{row.after} {row.note}") for row in turned],
    )
    lines += _table(
        OF_MACHINE,
        ("Measure", "Target", "Before", "After"),
        [
            (row.measure, row.moved.after.target, row.before, row.after)
            for row in list_metric_changes(shown)
            if is_of_machine(row.moved)
        ],
    )
    differs = list_differences(found)
    lines += _table("Other differences", ("", "Before", "After"), differs)
    for heading, told in _lists(shown):
        lines += ["", f"## {heading}", ""] if told else []
        lines += [f"- {escape_markdown(text)}" for text in told[:MOST_LINES]]
    return escape_invisible("\n".join(lines)) + "\n"


def _lists(shown: ComparisonView) -> Iterator[tuple[str, Sequence[str]]]:
    yield "Not comparable", list_skipped_checks(shown.comparison)
    yield from list_unpaired_items(shown)
    yield "Taken as signed, not recomputed", shown.taken


def _table(heading: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    written = [_line([escape_markdown(cell) for cell in row]) for row in rows[:MOST_LINES]]
    return ["", f"## {heading}", "", _line(header), "|" + "---|" * len(header), *written]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
