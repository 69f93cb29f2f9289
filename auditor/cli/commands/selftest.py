"""Audit a zoo of planted defects and their clean twins, and say what was found."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from auditor.cli.apart import Apart
from auditor.cli.exits import Exit
from auditor.cli.selftested import show_report, show_row
from auditor.cli.terminals import terminal
from auditor.scratch import scratch_folder
from auditor.selftesting import refuse_used, selftest
from auditor.zoo.discovery import chosen, families
from auditor.zoo.journals import read_rows, write_row
from auditor.zoo.specimens import Scale
from auditor.zoo.tallies import Report, Row

HOME, ZOO = "home", "zoo"


@click.command("selftest")
@click.option(
    "--quick",
    "scale",
    flag_value=Scale.QUICK,
    default=Scale.QUICK,
    help="A few of each defect, in minutes; the default.",
)
@click.option(
    "--full", "scale", flag_value=Scale.FULL, help="Twenty and more of each family, in hours."
)
@click.option(
    "--curve",
    "scale",
    flag_value=Scale.CURVE,
    help="What has a strength, at several: where it is no longer found.",
)
@click.option("--family", "names", multiple=True, metavar="NAME", help="Only this one; repeats.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Leave specimens, records and keys in this folder.",
)
@click.option(
    "--rows",
    "kept",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add each specimen's row to this file, and try none again that stands there.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(
    scale: Scale, names: tuple[str, ...], keep: Path | None, kept: Path | None, form: str
) -> int:
    """Audit small models with planted defects, and their clean twins, on this machine.

    Each is audited as any model is, and judged by a policy that lies beside it. Your store and your
    keys are not touched. Exit code: 0 when every planted defect is found and every clean twin is
    measured and quiet, 1 otherwise, 3 when a family was not run because packages are missing.
    A run that was stopped goes on where it was, if it is called again with the same --rows.
    """
    visited = chosen(families(), names)
    # Named, since standard output is another while a command is called from here.
    beside = terminal(file=sys.stderr if form == "json" else sys.stdout)
    known = {} if kept is None else read_rows(kept)

    def told(row: Row) -> None:
        show_row(beside, row)
        if kept is not None:
            write_row(kept, row)

    with _place(keep) as place:
        door = Apart(place / HOME)
        report = selftest(visited, Scale(scale), place / ZOO, door, told, known)
    if form == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show_report(beside, report)
    return exit_by(report)


def exit_by(report: Report) -> Exit:
    """Return the exit code of a selftest: what was not run never looks as if it were good."""
    if not report.good:
        return Exit.FAILED
    return Exit.INCONCLUSIVE if report.not_run or not report.rows else Exit.DONE


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        refuse_used(keep)
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with scratch_folder() as root:
        yield root
