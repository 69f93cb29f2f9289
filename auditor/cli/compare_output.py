"""What `auditor compare` shows in a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.cli.terminal_text import escape_markup
from auditor.domain.findings import Verdict
from auditor.policy.comparison_result import ComparisonDirection
from auditor.reports.html.comparison import (
    WAYS,
    ComparisonView,
    MetricChangeRow,
    build_headline,
    choose_tone,
    compare_verdicts,
    list_differences,
    list_finding_changes,
    list_gaps,
    list_metric_changes,
    list_unpaired_measurements,
    summarize_comparison,
)

COLOURS = {
    ComparisonDirection.WORSE: "[bold red]worse[/]",
    ComparisonDirection.BETTER: "[green]better[/]",
    ComparisonDirection.OTHER: "[yellow]moved[/]",
    ComparisonDirection.SAME: "[dim]same[/]",
}
TONES = {Verdict.PASS: "green", Verdict.INCONCLUSIVE: "yellow", Verdict.FAIL: "red"}


def show_comparison(console: Console, shown: ComparisonView, *, everything: bool) -> None:
    """Show what moved first, the rest folded to a count unless ``everything`` is asked for."""
    if shown.unverified:
        console.print(
            f"[bold red]NOT VERIFIED[/] {escape_markup(shown.unverified)}", highlight=False
        )
    for text in shown.taken:
        console.print(f"[yellow]not recomputed[/] {escape_markup(text)}", highlight=False)
    rows = list_metric_changes(shown)
    moved = [row for row in rows if everything or row.moved.way is not ComparisonDirection.SAME]
    if moved:
        console.print(_figures(shown, moved))
    if len(rows) > len(moved):
        console.print(f"[dim]{len(rows) - len(moved)} figures did not move; --all shows them.[/]")
    _findings(console, shown)
    _around(console, shown, everything=everything)
    found = shown.comparison
    console.print(f"[bold {TONES[choose_tone(found)]}]{build_headline(found)}[/]", highlight=False)
    for sentence in (compare_verdicts(found), *summarize_comparison(found)):
        console.print(sentence, highlight=False, markup=False)


def _figures(shown: ComparisonView, rows: list[MetricChangeRow]) -> Table:
    several = len(shown.after.record.request.targets) > 1
    heads = ("", "figure", *(["target"] if several else []), "before", "after", "change")
    table = _table("Figures", heads)
    for row in rows:
        target = [escape_markup(row.moved.after.target)] if several else []
        cells = (
            escape_markup(row.measure),
            *target,
            escape_markup(row.before),
            escape_markup(row.after),
        )
        table.add_row(
            COLOURS[row.moved.way], *cells, escape_markup(row.change or WAYS[row.moved.way])
        )
    return table


def _findings(console: Console, shown: ComparisonView) -> None:
    turned = list_finding_changes(shown.comparison)
    if not turned:
        return
    table = _table("Findings that changed", ("rule", "where", "before", "after"))
    for row in turned:
        after = f"{row.after}; {row.note}" if row.note else row.after
        cells = (row.turned.rule, row.where, row.before, after)
        table.add_row(*(escape_markup(cell) for cell in cells))
    console.print(table)


def _around(console: Console, shown: ComparisonView, *, everything: bool) -> None:
    found = shown.comparison
    differs = list_differences(found)
    if differs:
        table = _table("What else differs", ("", "before", "after"))
        for line in differs:
            table.add_row(*(escape_markup(cell) for cell in line))
        console.print(table)
    for item in found.incomparable:
        said = f"{item.check} on {item.target}: {item.reason}"
        console.print(f"[yellow]not compared[/] {escape_markup(said)}", highlight=False)
    lists = (
        ("missing now", list_gaps(shown.after, found.gaps_opened)),
        ("no longer missing", list_gaps(shown.before, found.gaps_closed)),
        ("measured only before", list_unpaired_measurements(shown.before, found.only_before)),
        ("measured only after", list_unpaired_measurements(shown.after, found.only_after)),
    )
    for name, lines in lists:
        if lines and not everything:
            console.print(f"[dim]{name}: {len(lines)}; --all lists them[/]", highlight=False)
        for text in lines if everything else ():
            console.print(f"[yellow]{name}[/] {escape_markup(text)}", highlight=False)


def _table(title: str, heads: tuple[str, ...]) -> Table:
    look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0)}
    table = Table(title=title, title_justify="left", **look)  # type: ignore[arg-type]  # a mapping of rich's own options
    for head in heads:
        table.add_column(head, overflow="fold")
    return table
