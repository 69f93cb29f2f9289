"""Bring the store's database to this version's tables."""

import click

from auditor.cli.main import ExitCode
from auditor.store.database import find_database_revision, migrate, preview_migration
from auditor.store.migrations import RevisionStatus
from auditor.workflows.settings import AuditorSettings


@click.command("migrate")
@click.option("--check", is_flag=True, help="Only say whether it lags; exit code 1 where it does.")
@click.option("--sql", is_flag=True, help="Print what would be run on it, and change nothing.")
def command(*, check: bool, sql: bool) -> int:
    """Bring the database at AUDITOR_DATABASE_URL to this version's tables.

    SQLite databases migrate by themselves; a shared PostgreSQL waits for this command. With --sql
    the statements are carried out on the rows that there are and taken back, so that whoever
    reviews them knows that they hold; others wait meanwhile.
    """
    if check and sql:
        raise click.UsageError("Name one of --check and --sql.")
    url = AuditorSettings.from_environment().database
    if sql:
        click.echo("\n".join(preview_migration(url)))
        return ExitCode.DONE
    if check:
        found = find_database_revision(url)
        click.echo(_checked(found))
        return ExitCode.FAILED if found.lags else ExitCode.DONE
    click.echo(_migrated(migrate(url)))
    return ExitCode.DONE


def _checked(found: RevisionStatus) -> str:
    if not found.lags:
        return f"The database stands at revision {found.needed}, which this version needs."
    stands = f"stands at revision {found.current}" if found.current else "has no tables yet"
    return f"The database {stands}, and this version needs {found.needed}: run `auditor migrate`."


def _migrated(before: RevisionStatus) -> str:
    if not before.lags:
        return f"The database stands at revision {before.needed} already."
    return f"The database went from revision {before.current or 'none'} to {before.needed}."
