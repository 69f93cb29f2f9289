"""Copy the store, also of a service that runs, and its keys into a folder."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.store.backup import CHECKPOINT, create_backup
from auditor.workflows.settings import AuditorSettings


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--no-database", is_flag=True, help="You dumped the database before (PostgreSQL).")
def command(folder: Path, *, no_database: bool) -> int:
    """Copy what AUDITOR_HOME keeps into FOLDER: the database first, blobs and keys after it.

    A service may run meanwhile. What FOLDER has already is not copied again. Private keys are
    among it: keep it as safe as the home. Exit code 1 says that blobs are damaged.
    """
    made = create_backup(
        AuditorSettings.from_environment().place, folder, utc_now(), database=not no_database
    )
    console = create_console()
    if made.elsewhere is not None:
        console.print(f"The blobs stay in {made.elsewhere}, which has to keep them itself.")
    for digest in made.damaged:
        console.print(f"damaged: {digest}", highlight=False)
    if (folder / CHECKPOINT).is_file():
        told = f"{folder / CHECKPOINT} says how far the ledger was: keep a copy of it elsewhere."
        console.print(told, highlight=False, soft_wrap=True)
    return ExitCode.FAILED if made.damaged else ExitCode.DONE
