"""Terminal output of `auditor compare`."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.domain.findings import Verdict
from auditor.domain.number_text import format_counted
from auditor.policy.record_comparison_result import ComparisonDirection
from auditor.reports.html.comparison import (
    DECLARED,
    OF_MACHINE,
    WAYS,
    ComparisonView,
    build_headline,
    choose_tone,
    compare_verdicts,
    is_of_machine,
    list_differences,
    list_finding_changes,
    list_gaps,
    list_metric_changes,
    list_skipped_checks,
    list_unpaired_measurements,
    summarize_comparison,
    tabulate_declared,
)
from auditor.reports.terminal_text import escape_markup

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
    _pairs(console, DECLARED, tabulate_declared(shown.comparison))
    _figures(console, shown, everything=everything)
    turned = list_finding_changes(shown.comparison)
    if turned:
        table = _table("Findings that changed", ("rule", "where", "before", "after"))
        for row in turned:
            after = f"{row.after}; {row.note}" if row.note else row.after
            cells = (row.turned.rule, row.where, row.before, after)
            table.add_row(*(escape_markup(cell) for cell in cells))
        console.print(table)
    _around(console, shown, everything=everything)
    found = shown.comparison
    console.print(
        f"[bold {TONES[choose_tone(found)]}]{escape_markup(build_headline(found))}[/]",
        highlight=False,
    )
    for sentence in (compare_verdicts(found), *summarize_comparison(found)):
        console.print(sentence, highlight=False, markup=False)


def _figures(console: Console, shown: ComparisonView, *, everything: bool) -> None:
    """Show the figures that moved, and apart those that depend on the machine."""
    all_rows = list_metric_changes(shown)
    machine = [row for row in all_rows if is_of_machine(row.moved)]
    rows = [row for row in all_rows if not is_of_machine(row.moved)]
    moved = [row for row in rows if everything or row.moved.way is not ComparisonDirection.SAME]
    if moved:
        several = len(shown.after.record.request.targets) > 1
        heads = ("", "figure", *(["target"] if several else []), "before", "after", "change")
        figures = _table("Figures", heads)
        for row in moved:
            target = [row.moved.after.target] if several else []
            change = row.change or WAYS[row.moved.way]
            cells = (row.measure, *target, row.before, row.after, change)
            figures.add_row(COLOURS[row.moved.way], *(escape_markup(cell) for cell in cells))
        console.print(figures)
    if everything:
        _pairs(console, OF_MACHINE, [(row.measure, row.before, row.after) for row in machine])
        return
    depend = "depends" if len(machine) == 1 else "depend"
    folded = ((len(rows) - len(moved), "did not move"), (len(machine), f"{depend} on the machine"))
    for number, words in folded:
        if number:
            count = format_counted(number, "figure")
            console.print(f"[dim]{count} {words}; --all shows them.[/]", highlight=False)


def _around(console: Console, shown: ComparisonView, *, everything: bool) -> None:
    found = shown.comparison
    _pairs(console, "Other differences", list_differences(found))
    for said in list_skipped_checks(found):
        console.print(f"[yellow]not comparable[/] {escape_markup(said)}", highlight=False)
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


def _pairs(console: Console, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Show names with what they were before and after; nothing where there is none."""
    if rows:
        table = _table(title, ("", "before", "after"))
        for line in rows:
            table.add_row(*(escape_markup(cell) for cell in line))
        console.print(table)


def _table(title: str, heads: tuple[str, ...]) -> Table:
    look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0)}
    table = Table(title=title, title_justify="left", **look)  # type: ignore[arg-type]  # a mapping of rich's own options
    for head in heads:
        table.add_column(head, overflow="fold")
    return table
