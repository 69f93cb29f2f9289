"""Bring the store's database to this version's tables."""

import click

from auditor.cli.main import ExitCode
from auditor.store.database import find_database_revision, migrate, preview_migration
from auditor.store.migrations import RevisionStatus
from auditor.workflows.settings import AuditorSettings


@click.command("migrate")
@click.option("--check", is_flag=True, help="Only check; exit code 1 if a migration is needed.")
@click.option("--sql", is_flag=True, help="Print the SQL statements without changing the database.")
def command(*, check: bool, sql: bool) -> int:
    """Migrate the database at AUDITOR_DATABASE_URL to the schema of this version.

    SQLite databases migrate automatically; a shared PostgreSQL needs this command. With --sql, the
    statements run on the existing rows and are rolled back, so that a reviewer knows that they
    work. Other clients of the database wait during this run.
    """
    if check and sql:
        raise click.UsageError("Use either --check or --sql.")
    url = AuditorSettings.from_environment().database
    if sql:
        click.echo("\n".join(preview_migration(url)))
        return ExitCode.DONE
    if check:
        found = find_database_revision(url)
        click.echo(_checked(found))
        return ExitCode.FAILED if found.lags else ExitCode.DONE
    before = migrate(url)
    if not before.lags:
        migrated = f"The database is already at revision {before.needed}."
    else:
        migrated = (
            f"Migrated the database from revision {before.current or 'none'} to {before.needed}."
        )
    click.echo(migrated)
    return ExitCode.DONE


def _checked(found: RevisionStatus) -> str:
    if not found.lags:
        return f"The database is at revision {found.needed}, as this version needs."
    stands = f"is at revision {found.current}" if found.current else "has no tables yet"
    return f"The database {stands}, and this version needs {found.needed}: run `auditor migrate`."
