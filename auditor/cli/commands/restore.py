"""Lay a backup out in an AUDITOR_HOME that has no store yet, and check it."""

from collections.abc import Iterator
from pathlib import Path

import click

from auditor.cli.console import show_steps
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.domain.verification_steps import VerificationStep, all_hold
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.backup import CHECKPOINT, restore_backup
from auditor.store.key_audit import audit_keys
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore, list_missing_blobs
from auditor.trust.keys.ledger_key import LEDGER_PUBLIC, load_note_key
from auditor.workflows.settings import AuditorSettings


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
    settings = AuditorSettings.from_environment()
    made = restore_backup(folder, settings.place)
    own = folder / CHECKPOINT
    kept = (*checkpoints, *((own,) if made.revision is not None and own.is_file() else ()))
    known = LedgerReference(
        key=load_note_key(settings.home / LEDGER_PUBLIC),
        checkpoints={str(path): path.read_bytes() for path in kept},
    )
    store = RecordStore.open(settings.database, settings.blobs)
    try:
        ledger = audit_ledger(store.engine, known, SERVICE_ROWS)
        steps = (*ledger, audit_keys(store.engine), *_blobs(store))
    finally:
        store.close()
    show_steps(create_console(), steps)
    return ExitCode.DONE if all_hold(steps) else ExitCode.FAILED


def _blobs(store: RecordStore) -> Iterator[VerificationStep]:
    mistakes = [f"{digest} is missing" for digest in list_missing_blobs(store)]
    yield VerificationStep.of(
        "blobs", mistakes, "every upload and every record's list of files is there"
    )
