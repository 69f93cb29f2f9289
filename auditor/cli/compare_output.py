"""What `auditor compare` shows in a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.cli.texts import plain
from auditor.domain.verdicts import Verdict
from auditor.moving.values import Way
from auditor.rendering.juxtaposed.words import (
    WAYS,
    Juxtaposed,
    MovedRow,
    difference_rows,
    gap_lines,
    headline,
    moved_rows,
    only_lines,
    summary,
    tone,
    turned_rows,
    verdict_words,
)

COLOURS = {
    Way.WORSE: "[bold red]worse[/]",
    Way.BETTER: "[green]better[/]",
    Way.OTHER: "[yellow]moved[/]",
    Way.SAME: "[dim]same[/]",
}
TONES = {Verdict.PASS: "green", Verdict.INCONCLUSIVE: "yellow", Verdict.FAIL: "red"}


def show_juxtaposed(console: Console, shown: Juxtaposed, *, everything: bool) -> None:
    """Show what moved first, the rest folded to a count unless ``everything`` is asked for."""
    if shown.unverified:
        console.print(f"[bold red]NOT VERIFIED[/] {plain(shown.unverified)}", highlight=False)
    for text in shown.taken:
        console.print(f"[yellow]not recomputed[/] {plain(text)}", highlight=False)
    rows = moved_rows(shown)
    moved = [row for row in rows if everything or row.moved.way is not Way.SAME]
    if moved:
        console.print(_figures(shown, moved))
    if len(rows) > len(moved):
        console.print(f"[dim]{len(rows) - len(moved)} figures did not move; --all shows them.[/]")
    _findings(console, shown)
    _around(console, shown, everything=everything)
    found = shown.comparison
    console.print(f"[bold {TONES[tone(found)]}]{headline(found)}[/]", highlight=False)
    for sentence in (verdict_words(found), *summary(found)):
        console.print(sentence, highlight=False, markup=False)


def _figures(shown: Juxtaposed, rows: list[MovedRow]) -> Table:
    several = len(shown.after.record.request.targets) > 1
    heads = ("", "figure", *(["target"] if several else []), "before", "after", "change")
    table = _table("Figures", heads)
    for row in rows:
        target = [plain(row.moved.after.target)] if several else []
        cells = (plain(row.measure), *target, plain(row.before), plain(row.after))
        table.add_row(COLOURS[row.moved.way], *cells, plain(row.change or WAYS[row.moved.way]))
    return table


def _findings(console: Console, shown: Juxtaposed) -> None:
    turned = turned_rows(shown.comparison)
    if not turned:
        return
    table = _table("Findings that changed", ("rule", "where", "before", "after"))
    for row in turned:
        after = f"{row.after}; {row.note}" if row.note else row.after
        cells = (row.turned.rule, row.where, row.before, after)
        table.add_row(*(plain(cell) for cell in cells))
    console.print(table)


def _around(console: Console, shown: Juxtaposed, *, everything: bool) -> None:
    found = shown.comparison
    differs = difference_rows(found)
    if differs:
        table = _table("What else differs", ("", "before", "after"))
        for line in differs:
            table.add_row(*(plain(cell) for cell in line))
        console.print(table)
    for item in found.incomparable:
        said = f"{item.check} on {item.target}: {item.reason}"
        console.print(f"[yellow]not compared[/] {plain(said)}", highlight=False)
    lists = (
        ("missing now", gap_lines(shown.after, found.gaps_opened)),
        ("no longer missing", gap_lines(shown.before, found.gaps_closed)),
        ("measured only before", only_lines(shown.before, found.only_before)),
        ("measured only after", only_lines(shown.after, found.only_after)),
    )
    for name, lines in lists:
        if lines and not everything:
            console.print(f"[dim]{name}: {len(lines)}; --all lists them[/]", highlight=False)
        for text in lines if everything else ():
            console.print(f"[yellow]{name}[/] {plain(text)}", highlight=False)


def _table(title: str, heads: tuple[str, ...]) -> Table:
    look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0)}
    table = Table(title=title, title_justify="left", **look)  # type: ignore[arg-type]  # a mapping of rich's own options
    for head in heads:
        table.add_column(head, overflow="fold")
    return table
