"""Copy the store and its keys into a folder, also while a service runs."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.main import ExitCode
from auditor.reports.terminal import create_console
from auditor.store.backup import CHECKPOINT, create_backup
from auditor.workflows.settings import AuditorSettings


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--no-database",
    is_flag=True,
    help=("Do not copy the database, because you dumped it yourself (PostgreSQL)."),
)
def command(folder: Path, *, no_database: bool) -> int:
    """Copy AUDITOR_HOME into FOLDER: first the database, then blobs and keys.

    A service can run at the same time. Files that FOLDER already has are not copied again. The copy
    contains private keys: protect it like AUDITOR_HOME. Exit code: 0 done, 1 if blobs are damaged.
    """
    made = create_backup(
        AuditorSettings.from_environment().place, folder, utc_now(), database=not no_database
    )
    console = create_console()
    if made.elsewhere is not None:
        console.print(
            f"The blobs are in {made.elsewhere} and were not copied. Back up that storage too."
        )
    for digest in made.damaged:
        console.print(f"damaged: {digest}", highlight=False)
    if (folder / CHECKPOINT).is_file():
        told = (
            f"{folder / CHECKPOINT} is the signed checkpoint of the ledger. Keep a "
            "copy of it on another machine."
        )
        console.print(told, highlight=False, soft_wrap=True)
    return ExitCode.FAILED if made.damaged else ExitCode.DONE
