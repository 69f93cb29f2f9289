"""Audit models with planted defects and their clean twins, and report which defects were found."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from auditor._resources import scratch_folder
from auditor.cli.isolated_command import IsolatedCommand
from auditor.cli.main import ExitCode
from auditor.cli.selftest_output import show_selftest_report, show_specimen
from auditor.reports.terminal import create_console
from auditor.selftest.family_registry import discover_families, select_families
from auditor.selftest.results import (
    SelftestReport,
    SpecimenResult,
    append_result_row,
    read_result_rows,
)
from auditor.selftest.run import refuse_used_folder, run_selftest
from auditor.selftest.scale import SelftestScale

HOME, ZOO = "home", "zoo"


@click.command("selftest")
@click.option(
    "--quick",
    "scale",
    flag_value=SelftestScale.QUICK,
    default=SelftestScale.QUICK,
    help="Test a few specimens of each defect, in minutes; the default.",
)
@click.option(
    "--full",
    "scale",
    flag_value=SelftestScale.FULL,
    help="Test at least twenty specimens of each family, in hours.",
)
@click.option(
    "--curve",
    "scale",
    flag_value=SelftestScale.CURVE,
    help=(
        "Test each defect that has a strength at several strengths, to find the "
        "weakest one that is detected."
    ),
)
@click.option(
    "--family", "names", multiple=True, metavar="NAME", help="Only this family. Repeatable."
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Keep specimens, records and keys in this folder.",
)
@click.option(
    "--rows",
    "kept",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append a row per specimen to this file, and skip specimens that it already lists.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(
    scale: SelftestScale, names: tuple[str, ...], keep: Path | None, kept: Path | None, form: str
) -> int:
    """Audit small models with planted defects, and their clean twins, on this machine.

    Each is audited like any model, and judged by a policy of its own. Your store and keys are not
    used. Exit code: 0 if every planted defect is found and no clean twin gives a false alarm, 1
    otherwise, 3 if a family did not run because packages are missing. To resume a stopped run, use
    the same --rows again.
    """
    visited = select_families(discover_families(), names)
    # Named, since standard output is another while a command is called from here.
    beside = create_console(file=sys.stderr if form == "json" else sys.stdout)
    known = {} if kept is None else read_result_rows(kept)

    def told(row: SpecimenResult) -> None:
        show_specimen(beside, row)
        if kept is not None:
            append_result_row(kept, row)

    with _place(keep) as place:
        door = IsolatedCommand(place / HOME)
        report = run_selftest(visited, SelftestScale(scale), place / ZOO, door, told, known)
    if form == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show_selftest_report(beside, report)
    return choose_exit_code(report)


def choose_exit_code(report: SelftestReport) -> ExitCode:
    """Return the exit code of a selftest: what was not run never looks as if it were good."""
    if not report.good:
        return ExitCode.FAILED
    return ExitCode.INCONCLUSIVE if report.not_run or not report.rows else ExitCode.DONE


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        refuse_used_folder(keep)
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with scratch_folder() as root:
        yield root
