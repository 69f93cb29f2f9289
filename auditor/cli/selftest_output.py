"""Terminal output of a selftest: a line for each specimen, then a table of defects."""

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.cli.main import adapt_install_hints
from auditor.domain.readings import ConfidenceInterval
from auditor.errors import suggest_install
from auditor.reports.terminal_text import escape_markup
from auditor.selftest.results import (
    SelftestReport,
    SpecimenOutcome,
    SpecimenResult,
    tally_defects,
)

SEEN = {
    SpecimenOutcome.FOUND: "[green]found[/]      ",
    SpecimenOutcome.MISSED: "[bold red]missed[/]     ",
    SpecimenOutcome.QUIET: "[green]quiet[/]      ",
    SpecimenOutcome.FALSE_ALARM: "[bold red]false alarm[/]",
    SpecimenOutcome.UNDECIDED: "[bold red]undecided[/]  ",
    SpecimenOutcome.BROKEN: "[bold red]broken[/]     ",
}
INSTALL = suggest_install("selftest")
HEADS = ("family", "defect", "found", "falsely alarmed", "undecided", "broken", "seconds")
NAMES, SELDOM = ("family", "defect"), ("undecided", "broken")


def show_specimen(console: Console, row: SpecimenResult) -> None:
    """Say what became of one specimen, and why where that is not as it should be."""
    by = f" by {', '.join(row.by)}" if row.by else ""
    why = f" -- {row.why}" if row.why else ""
    said = escape_markup(f"{row.specimen.name}{by} ({row.seconds:.1f} s){why}")
    console.print(f"  {SEEN[row.seen]} {said}", highlight=False, soft_wrap=True)


def show_selftest_report(console: Console, report: SelftestReport) -> None:
    """Show the table of all defects, what was not run, and the sums."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    found = []
    for tally in tally_defects(report.rows):
        strength = "" if tally.strength is None else f" {tally.strength:g}"
        cells_cells = (
            escape_markup(tally.family),
            escape_markup(f"{tally.defect}{strength}"),
            _share(tally.count(SpecimenOutcome.FOUND), tally.planted, tally.found),
            _share(tally.count(SpecimenOutcome.FALSE_ALARM), tally.clean, tally.alarmed),
            str(tally.count(SpecimenOutcome.UNDECIDED) or ""),
            str(tally.count(SpecimenOutcome.BROKEN) or ""),
            f"{tally.seconds:.0f}",
        )
        found.append(dict(zip(HEADS, cells_cells, strict=True)))
    # Narrow terminals have no room for what did not happen.
    told = [head for head in HEADS if head not in SELDOM or any(cells[head] for cells in found)]
    for head in told:
        table.add_column(head, overflow="fold", no_wrap=head in NAMES)
    for cells in found:
        table.add_row(*(cells[head] for head in told))
    console.print(table)
    for name, modules in report.not_run.items():
        console.print(
            f"[bold yellow]not run[/] {escape_markup(name)}: {', '.join(modules)} is not installed "
            f"({escape_markup(adapt_install_hints(INSTALL))})",
            highlight=False,
            soft_wrap=True,
        )
    seen = [row.seen for row in report.rows]
    planted = sum(row.specimen.planted for row in report.rows)
    bad = {
        kind.value: seen.count(kind) for kind in (SpecimenOutcome.UNDECIDED, SpecimenOutcome.BROKEN)
    }
    console.print(
        f"{seen.count(SpecimenOutcome.FOUND)} of {planted} planted defects found, "
        f"{seen.count(SpecimenOutcome.FALSE_ALARM)} of {len(seen) - planted} clean twins falsely "
        "alarmed"
        + "".join(f", {count} {kind}" for kind, count in bad.items() if count)
        + f", in {report.seconds:.0f} s",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _share(count: int, of: int, interval: ConfidenceInterval | None) -> str:
    """Say a count with the interval of its share."""
    if interval is None:
        return "-"
    return f"{count} of {of} ({100 * interval.low:.0f} to {100 * interval.high:.0f} %)"
