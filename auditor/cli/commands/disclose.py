"""Withhold rows of a record's evidence, in a copy of its folder that can still be verified."""

from pathlib import Path

import click

from auditor.checks.registry import discover_checks
from auditor.cli.console import show_rows
from auditor.cli.input_paths import RECORD_FOLDER, ROW_IDS
from auditor.cli.main import ExitCode
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder, refuse_foreign_files, write_folder
from auditor.reports.terminal import create_console
from auditor.workflows.disclosure.redact import FEW, RedactionChoice, redact_folder


@click.command("disclose")
@click.argument("folder", type=RECORD_FOLDER)
@click.option(
    "--rows",
    type=ROW_IDS,
    help="File with one row ID per line: show only these rows.",
)
@click.option(
    "--withhold",
    type=ROW_IDS,
    help="File with one row ID per line: show all other rows.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="CHECK",
    help=(
        "Also show the evidence of this check that belongs to no single row. You "
        "confirm that it reveals none of the withheld rows. Repeatable."
    ),
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def command(
    folder: Path, rows: Path | None, withhold: Path | None, also: tuple[str, ...], out: Path
) -> int:
    """Copy the record in FOLDER with some rows of its evidence withheld.

    The copy contains no key, only one salt for each row shown. The record, its signature and its
    proof do not change, and `auditor verify` reports which parts are withheld. The audit must have
    used `disclosure: rows`.
    """
    refuse_foreign_files(out)
    if out.resolve() == folder.resolve():
        raise UsageError("--out is the folder itself", cure="Choose another folder.")
    named = rows or withhold
    if named is None or (rows and withhold):
        raise UsageError(
            "exactly one of --rows and --withhold is needed",
            cure="Use either --rows FILE or --withhold FILE.",
        )
    held = RecordFolder(folder)
    try:
        lines = named.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{named} cannot be read: {error}", cure="Name a file with one row ID per line."
        ) from None
    choice = RedactionChoice(
        frozenset(line for line in lines if line), shows=rows is not None, also=frozenset(also)
    )
    found = redact_folder(held, held.record, discover_checks(), choice)
    write_folder(out, found.files)
    console = create_console()
    counts = [(name, str(count), str(of)) for name, (count, of) in found.withheld.items()]
    show_rows(console, ("evidence", "withheld", "rows"), counts)
    console.print(
        "Evidence of checks that are not listed cannot be split by row, so all of it is withheld."
    )
    if 0 < found.fewest < FEW:
        which = "1 row is" if found.fewest == 1 else f"{found.fewest} rows are"
        console.print(
            f"[yellow]Only {which} withheld.[/] The figures are "
            "unchanged: a reader who knows all other rows can work out the withheld "
            "values.",
            soft_wrap=True,
        )
    return ExitCode.DONE
