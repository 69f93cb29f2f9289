"""Audit a zoo of planted defects and their clean twins, and say what was found."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from auditor.cli.apart import Apart
from auditor.cli.exits import Exit
from auditor.cli.selftested import show_report, show_row
from auditor.selftesting import refuse_used, selftest
from auditor.zoo.discovery import chosen, families
from auditor.zoo.specimens import Scale
from auditor.zoo.tallies import Report

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
@click.option("--family", "names", multiple=True, metavar="NAME", help="Only this one; repeats.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Leave specimens, records and keys in this folder.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(scale: Scale, names: tuple[str, ...], keep: Path | None, form: str) -> int:
    """Audit small models with planted defects, and their clean twins, on this machine.

    Each is audited as any model is, and judged by a policy that lies beside it. Your store and your
    keys are not touched. Exit code: 0 when every planted defect is found and every clean twin is
    measured and quiet, 1 otherwise, 3 when a family was not run because packages are missing.
    """
    visited = chosen(families(), names)
    # Named, since standard output is another while a command is called from here.
    beside = Console(file=sys.stderr if form == "json" else sys.stdout)
    with _place(keep) as place:
        report = selftest(
            visited,
            Scale(scale),
            place / ZOO,
            Apart(place / HOME),
            lambda row: show_row(beside, row),
        )
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
    with TemporaryDirectory(prefix="auditor-selftest-") as root:
        yield Path(root)
