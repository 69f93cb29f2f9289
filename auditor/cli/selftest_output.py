"""What a selftest shows: a line a specimen as it ends, then a table a defect."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.cli.installing import as_installed
from auditor.cli.texts import plain
from auditor.domain.intervals import Interval
from auditor.extras import to_install
from auditor.zoo.tallies import Report, Row, Seen, Tally, tallies

SEEN = {
    Seen.FOUND: "[green]found[/]      ",
    Seen.MISSED: "[bold red]missed[/]     ",
    Seen.QUIET: "[green]quiet[/]      ",
    Seen.FALSE_ALARM: "[bold red]false alarm[/]",
    Seen.UNDECIDED: "[bold red]undecided[/]  ",
    Seen.BROKEN: "[bold red]broken[/]     ",
}
INSTALL = to_install("selftest")
HEADS = ("family", "defect", "found", "falsely alarmed", "undecided", "broken", "seconds")
NAMES, SELDOM = ("family", "defect"), ("undecided", "broken")


def show_row(console: Console, row: Row) -> None:
    """Say what became of one specimen, and why where that is not as it should be."""
    by = f" by {', '.join(row.by)}" if row.by else ""
    why = f" -- {row.why}" if row.why else ""
    said = plain(f"{row.specimen.name}{by} ({row.seconds:.1f} s){why}")
    console.print(f"  {SEEN[row.seen]} {said}", highlight=False, soft_wrap=True)


def show_report(console: Console, report: Report) -> None:
    """Show the table of all defects, what was not run, and the sums."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    found = [_cells(tally) for tally in tallies(report.rows)]
    # Narrow terminals have no room for what did not happen.
    told = [head for head in HEADS if head not in SELDOM or any(cells[head] for cells in found)]
    for head in told:
        table.add_column(head, overflow="fold", no_wrap=head in NAMES)
    for cells in found:
        table.add_row(*(cells[head] for head in told))
    console.print(table)
    for name, modules in report.not_run.items():
        console.print(
            f"[bold yellow]not run[/] {plain(name)}: {', '.join(modules)} is not installed "
            f"({plain(as_installed(INSTALL))})",
            highlight=False,
            soft_wrap=True,
        )
    console.print(_sum(report), highlight=False, markup=False, soft_wrap=True)


def _cells(tally: Tally) -> Mapping[str, str]:
    strength = "" if tally.strength is None else f" {tally.strength:g}"
    cells = (
        plain(tally.family),
        plain(f"{tally.defect}{strength}"),
        _share(tally.count(Seen.FOUND), tally.planted, tally.found),
        _share(tally.count(Seen.FALSE_ALARM), tally.clean, tally.alarmed),
        str(tally.count(Seen.UNDECIDED) or ""),
        str(tally.count(Seen.BROKEN) or ""),
        f"{tally.seconds:.0f}",
    )
    return dict(zip(HEADS, cells, strict=True))


def _share(count: int, of: int, interval: Interval | None) -> str:
    """Say a count with the interval of its share."""
    if interval is None:
        return "-"
    return f"{count} of {of} ({100 * interval.low:.0f} to {100 * interval.high:.0f} %)"


def _sum(report: Report) -> str:
    seen = [row.seen for row in report.rows]
    planted = sum(row.specimen.planted for row in report.rows)
    bad = {kind.value: seen.count(kind) for kind in (Seen.UNDECIDED, Seen.BROKEN)}
    return (
        f"{seen.count(Seen.FOUND)} of {planted} planted defects found, "
        f"{seen.count(Seen.FALSE_ALARM)} of {len(seen) - planted} clean twins falsely alarmed"
        + "".join(f", {count} {kind}" for kind, count in bad.items() if count)
        + f", in {report.seconds:.0f} s"
    )
