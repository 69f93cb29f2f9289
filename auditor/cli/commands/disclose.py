"""Withhold rows of a record's evidence, in a copy of its folder that can still be verified."""

from pathlib import Path

import click
from rich.console import Console

from auditor.checks.registry import discover_checks
from auditor.cli.console import show_rows
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder, refuse_foreign_files, write_folder
from auditor.workflows.disclosure.redact import FEW, RedactedFolder, RedactionChoice, redact_folder


@click.command("disclose")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--rows", type=click.Path(path_type=Path), help="A file of ids, one a line: show these alone."
)
@click.option(
    "--withhold", type=click.Path(path_type=Path), help="A file of ids: show all rows but these."
)
@click.option(
    "--also",
    multiple=True,
    metavar="CHECK",
    help="Show what this check keeps beside rows too, on your word that it tells of none; repeats.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
def command(
    folder: Path, rows: Path | None, withhold: Path | None, also: tuple[str, ...], out: Path
) -> int:
    """Copy the record in FOLDER with some rows of its evidence withheld.

    The copy has no key; each row that is shown brings its own salt. The record, its signature and
    its proof stay as they are, and `auditor verify` says what is withheld. The record must have
    been audited with `disclosure: rows`.
    """
    refuse_foreign_files(out)
    if out.resolve() == folder.resolve():
        raise UsageError("--out is the folder itself", cure="Name another folder.")
    named = rows or withhold
    if named is None or (rows and withhold):
        raise UsageError(
            "rows are named in one way", cure="Give --rows FILE, or --withhold FILE, and not both."
        )
    held = RecordFolder(folder)
    choice = RedactionChoice(_ids(named), shows=rows is not None, also=frozenset(also))
    found = redact_folder(held, held.record, discover_checks(), choice)
    write_folder(out, found.files)
    _show(create_console(), found)
    return ExitCode.DONE


def _ids(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", cure="Name a file of ids.") from None
    return frozenset(line for line in lines if line)


def _show(console: Console, found: RedactedFolder) -> None:
    rows = [(name, str(count), str(of)) for name, (count, of) in found.withheld.items()]
    show_rows(console, ("evidence", "withheld", "rows"), rows)
    console.print("Checks that are not listed say of no row that it is theirs: all is withheld.")
    if 0 < found.fewest < FEW:
        console.print(
            f"[yellow]Only {found.fewest} rows are withheld.[/] Figures are as signed: who knows "
            "all other rows can try out which values give them.",
            soft_wrap=True,
        )
