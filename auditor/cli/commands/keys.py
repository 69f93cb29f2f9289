"""Make and show signing keys."""

from pathlib import Path

import click

from auditor.cli.exits import Exit
from auditor.settings import Settings
from auditor.signing.keys import PUBLIC, load_public_key, new_keys


@click.group("keys")
def command() -> None:
    """Make and show signing keys."""


@command.command("new")
@click.option("--home", type=click.Path(path_type=Path), help="Folder; default: AUDITOR_HOME.")
def new(home: Path | None) -> int:
    """Make a pair: signer.key (private) and signer.pub. An existing pair is never replaced."""
    made = new_keys(home or Settings.from_environment().home)
    click.echo(
        f"Private key: {made.private}\nPublic key:  {made.public}\nIdentity:    {made.identity}"
    )
    return Exit.DONE


@command.command("show")
@click.argument("key", type=click.Path(path_type=Path), required=False)
def show(key: Path | None) -> int:
    """Show the identity of a public KEY; default: your own."""
    path = key or Settings.from_environment().home / PUBLIC
    click.echo(f"{path}\n{load_public_key(path).identity}")
    return Exit.DONE
