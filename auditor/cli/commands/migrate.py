"""Bring the store's database to this version's tables."""

import click

from auditor.cli.exits import Exit
from auditor.settings import Settings
from auditor.store.database import migrate


@click.command("migrate")
def command() -> int:
    """Bring the database at AUDITOR_DATABASE_URL to this version's tables.

    SQLite databases migrate by themselves; a shared PostgreSQL waits for this command.
    """
    click.echo(f"The database is at revision {migrate(Settings.from_environment().database)}")
    return Exit.DONE
