"""Make and show keys, and put down what happens to them."""

import json
from pathlib import Path

import click

from auditor.cli.asking import new_password, passwords
from auditor.cli.exits import Exit
from auditor.cli.key_choices import (
    find_key,
    known_keys,
    life_rows,
    made_pair,
    public_of,
    rotate_key,
    time_option,
)
from auditor.cli.own_ledger import own_ledger
from auditor.cli.showing import show_rows
from auditor.cli.terminals import terminal
from auditor.clock import now
from auditor.holding import (
    find_life,
    refuse_ledger_role,
    revoke,
    take_into_use,
)
from auditor.ledgers.key_events import KeyRole, key_event_id
from auditor.settings import Settings
from auditor.signatures.keys import read_public_key
from auditor.signing.key_roles import identity_of, refuse_second_role

ROLE = click.option(
    "--role",
    type=click.Choice([item.value for item in KeyRole]),
    default=KeyRole.REPORT.value,
    show_default=True,
    help="What the key signs; a key has one role.",
)
OWN_ROLE = click.option(
    "--role",
    type=click.Choice([item.value for item in KeyRole if item is not KeyRole.LEDGER]),
    default=KeyRole.REPORT.value,
    show_default=True,
    help="What the key signs; a key has one role.",
)
NOT_AFTER = click.option("--not-after", metavar="TIME", help="Until when it may sign.")


@click.group("keys")
def command() -> None:
    """Make and show keys, and put down what happens to them."""


@command.command("new")
@click.option("--home", type=click.Path(path_type=Path), help="Folder; default: AUDITOR_HOME.")
@ROLE
@click.option("--encrypt", is_flag=True, help="Lock the private key with a password.")
@NOT_AFTER
def new(home: Path | None, role: str, *, encrypt: bool, not_after: str | None) -> int:
    """Make a pair: signer.key (private) and signer.pub, or by its role model.*, ledger.*, trust.*
    or decision.*.

    An existing pair is never replaced. The password is asked for, or is the first line of the
    file that AUDITOR_PASSWORD_FILE names. With --not-after the ledger is told of the key at once.
    """
    settings = Settings.from_environment()
    until = time_option("--not-after", not_after)
    if until is not None:
        refuse_ledger_role(role)
    password = new_password(settings) if encrypt else None
    made = made_pair(home or settings.home, KeyRole(role), settings, password)
    click.echo(
        f"Private key: {made.private}\nPublic key:  {made.public}\nIdentity:    {made.identity}"
    )
    if until is not None:
        _take_into_use(role, made.public.read_text(), until)
    return Exit.DONE


@command.command("show")
@click.argument("key", required=False)
@click.option("--pem", is_flag=True, help="Print the public key itself.")
def show(key: str | None, *, pem: bool) -> int:
    """Show the identity of KEY, and what the ledger says of it; default: your own.

    KEY is a file, a URI such as pkcs11:…, or the start of an identity that the ledger knows.
    """
    settings = Settings.from_environment()
    if pem:
        click.echo(public_of(key, settings, passwords(settings)), nl=False)
        return Exit.DONE
    name, identity, life = find_key(key, settings, passwords(settings))
    click.echo(f"{name}\n{identity}")
    if life is not None:
        click.echo(f"{key_event_id(life.role, life.public)} in the ledger")
        show_rows(terminal(), ("leaf", "time", "what happened"), life_rows(life, now()))
    return Exit.DONE


@command.command("list")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def list_keys(form: str) -> int:
    """List the keys that the ledger knows, with role and status."""
    lives = known_keys(Settings.from_environment()).lives.values()
    rows = [(identity_of(item), item.role, item.words(now())) for item in lives]
    if form == "json":
        heads = ("name", "role", "status")
        click.echo(json.dumps([dict(zip(heads, row, strict=True)) for row in rows], indent=2))
    else:
        show_rows(terminal(), ("key", "role", "status"), rows)
    return Exit.DONE


@command.command("enrol")
@click.argument("key")
@OWN_ROLE
@NOT_AFTER
def enrol(key: str, role: str, not_after: str | None) -> int:
    """Put down that KEY (a public key file, or a URI such as pkcs11:…) is in use in a role.

    A key that signs records is put down by the first audit, unless it is to have an end.
    """
    settings = Settings.from_environment()
    pem = public_of(key, settings, passwords(settings))
    refuse_second_role(settings.home, role, pem.encode())
    _take_into_use(role, pem, time_option("--not-after", not_after))
    click.echo(f"{read_public_key(pem.encode()).identity} is in use as a {role} key")
    return Exit.DONE


@command.command("rotate")
@ROLE
@click.option("--key", help="The old private key, a file or a URI; default: your own.")
@click.option("--to", "to", help="The new private key, a file or a URI; default: one is made.")
@click.option(
    "--encrypt", is_flag=True, help="Lock the new private key; where the old one is, it is too."
)
@NOT_AFTER
def rotate(
    role: str, key: str | None, to: str | None, *, encrypt: bool, not_after: str | None
) -> int:
    """Let a new key follow the old one, on the old one's word; the ledger says so from now on."""
    until = time_option("--not-after", not_after)
    click.echo(rotate_key(KeyRole(role), key, to, encrypt=encrypt, not_after=until))
    return Exit.DONE


@command.command("revoke")
@click.argument("key")
@click.option("--since", required=True, metavar="TIME", help="Since when it counts for nothing.")
@click.option("--reason", required=True, help="Why; it is shown to whoever verifies.")
def revoke_key(key: str, since: str, reason: str) -> int:
    """Put down that KEY may be in other hands since a time; that cannot be undone.

    KEY is a file, a URI, or the start of an identity that the ledger knows.
    """
    settings = Settings.from_environment()
    _, identity, _ = find_key(key, settings, passwords(settings))
    with own_ledger() as store:
        life = find_life(known_keys(settings), identity)
        with store.unit_of_work() as work:
            revoke(work, life, time_option("--since", since) or "", reason, now())
    click.echo(f"{identity} is revoked since {since}: {reason}")
    return Exit.DONE


def _take_into_use(role: str, public: str, not_after: str | None) -> None:
    with own_ledger() as store, store.unit_of_work() as work:
        take_into_use(work, role, public, now(), not_after=not_after)
