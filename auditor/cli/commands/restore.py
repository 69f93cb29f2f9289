"""Lay a backup out in an AUDITOR_HOME that has no store yet, and check it."""

from collections.abc import Iterator
from pathlib import Path

import click

from auditor.backups import CHECKPOINT, bring_back
from auditor.cli.exits import Exit
from auditor.cli.showing import show_steps
from auditor.cli.terminals import terminal
from auditor.domain.steps import Step, all_hold
from auditor.keyaudits import audit_keys
from auditor.settings import Settings
from auditor.signing.ledger_keys import LEDGER_PUBLIC, load_note_key
from auditor.store.copying import lacking
from auditor.store.reaudits.acts import SERVICE_ROWS
from auditor.store.reaudits.reaudit import Known, reaudit
from auditor.store.store import Store


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A checkpoint of the ledger that was kept elsewhere, to hold it against; repeats.",
)
def command(folder: Path, checkpoints: tuple[Path, ...]) -> int:
    """Lay the backup in FOLDER out in AUDITOR_HOME, then look at all of its ledger and blobs.

    A database on PostgreSQL has to be restored before (pg_restore). Exit code 1 says that
    something does not hold: do not start a service on it.
    """
    settings = Settings.from_environment()
    made = bring_back(folder, settings.place)
    own = folder / CHECKPOINT
    kept = (*checkpoints, *((own,) if made.revision is not None and own.is_file() else ()))
    known = Known(
        key=load_note_key(settings.home / LEDGER_PUBLIC),
        checkpoints={str(path): path.read_bytes() for path in kept},
    )
    store = Store.open(settings.database, settings.blobs)
    try:
        ledger = reaudit(store.engine, known, SERVICE_ROWS)
        steps = (*ledger, audit_keys(store.engine), *_blobs(store))
    finally:
        store.close()
    show_steps(terminal(), steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED


def _blobs(store: Store) -> Iterator[Step]:
    mistakes = [f"{digest} is missing" for digest in lacking(store)]
    yield Step.of("blobs", mistakes, "every upload and every record's list of files is there")
