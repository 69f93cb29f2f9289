"""Create, show, rotate and revoke keys."""

import json
from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.console import show_rows
from auditor.cli.input_paths import KeyName
from auditor.cli.key_options import (
    find_key,
    list_key_events,
    open_own_ledger,
    parse_time_option,
    read_public_pem,
    rotate_key_pair,
    write_key_pair,
)
from auditor.cli.main import ExitCode
from auditor.cli.passwords import ask_new_password, get_password_source
from auditor.domain.key_roles import KeyRole
from auditor.reports.terminal import create_console
from auditor.store.key_lifecycle import (
    find_key_lifecycle,
    record_key_revocation,
    refuse_ledger_role,
    register_key_use,
)
from auditor.trust.keys.rotation import read_key_identity, refuse_second_role
from auditor.trust.ledger.key_events import key_event_id
from auditor.trust.signatures.keys import read_public_key
from auditor.workflows.ledger import load_key_registry
from auditor.workflows.settings import AuditorSettings

ROLE = click.option(
    "--role",
    type=click.Choice([item.value for item in KeyRole]),
    default=KeyRole.REPORT.value,
    show_default=True,
    help="What the key signs. A key has only one role.",
)
OWN_ROLE = click.option(
    "--role",
    type=click.Choice([item.value for item in KeyRole if item is not KeyRole.LEDGER]),
    default=KeyRole.REPORT.value,
    show_default=True,
    help="What the key signs. A key has only one role.",
)
NOT_AFTER = click.option(
    "--not-after", metavar="TIME", help="Time after which the key can no longer sign."
)


@click.group("keys")
def command() -> None:
    """Create, show, rotate and revoke keys."""


@command.command("new")
@click.option("--home", type=click.Path(path_type=Path), help="Folder; default: AUDITOR_HOME.")
@ROLE
@click.option("--encrypt", is_flag=True, help="Encrypt the private key with a password.")
@NOT_AFTER
def create_key(home: Path | None, role: str, *, encrypt: bool, not_after: str | None) -> int:
    """Create a key pair: signer.key (private) and signer.pub. Other roles use model.*, ledger.*,
    trust.* or decision.*.

    An existing pair is never replaced. The command asks for the password, or reads the first line
    of the file that AUDITOR_PASSWORD_FILE names. With --not-after, the key is registered in the
    ledger at once.
    """
    settings = AuditorSettings.from_environment()
    until = parse_time_option("--not-after", not_after)
    if until is not None:
        refuse_ledger_role(role)
    password = ask_new_password(settings) if encrypt else None
    made = write_key_pair(home or settings.home, KeyRole(role), settings, password)
    click.echo(
        f"Private key: {made.private}\nPublic key:  {made.public}\nIdentity:    {made.identity}"
    )
    if until is not None:
        _take_into_use(role, made.public.read_text(), until)
    return ExitCode.DONE


@command.command("show")
@click.argument("key", type=KeyName(), required=False)
@click.option("--pem", is_flag=True, help="Print the public key.")
def show(key: str | None, *, pem: bool) -> int:
    """Show the identity of KEY and its entries in the ledger; default: your own key.

    KEY is a file, a URI such as pkcs11:…, or the first characters of an identity in the ledger.
    """
    settings = AuditorSettings.from_environment()
    if pem:
        click.echo(read_public_pem(key, settings, get_password_source(settings)), nl=False)
        return ExitCode.DONE
    name, identity, life = find_key(key, settings, get_password_source(settings))
    click.echo(f"{name}\n{identity}")
    if life is not None:
        click.echo(f"{key_event_id(life.role, life.public)} in the ledger")
        show_rows(
            create_console(), ("leaf", "time", "what happened"), list_key_events(life, utc_now())
        )
    return ExitCode.DONE


@command.command("list")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def list_keys(form: str) -> int:
    """List the keys in the ledger, with role and status."""
    lives = load_key_registry(AuditorSettings.from_environment()).lives.values()
    rows = [(read_key_identity(item), item.role, item.words(utc_now())) for item in lives]
    if form == "json":
        heads = ("name", "role", "status")
        click.echo(json.dumps([dict(zip(heads, row, strict=True)) for row in rows], indent=2))
    else:
        show_rows(create_console(), ("key", "role", "status"), rows)
    return ExitCode.DONE


@command.command("enrol")
@click.argument("key", type=KeyName())
@OWN_ROLE
@NOT_AFTER
def enrol(key: str, role: str, not_after: str | None) -> int:
    """Register KEY (a public key file, or a URI such as pkcs11:…) in the ledger for a role.

    The first audit registers a key that signs records. Use this command if the key must expire.
    """
    settings = AuditorSettings.from_environment()
    pem = read_public_pem(key, settings, get_password_source(settings))
    refuse_second_role(settings.home, role, pem.encode())
    _take_into_use(role, pem, parse_time_option("--not-after", not_after))
    click.echo(f"{read_public_key(pem.encode()).identity} is in use as a {role} key")
    return ExitCode.DONE


@command.command("rotate")
@ROLE
@click.option("--key", type=KeyName(), help="Old private key, a file or a URI; default: your own.")
@click.option(
    "--to", "to", type=KeyName(), help="New private key, a file or a URI; default: create one."
)
@click.option(
    "--encrypt",
    is_flag=True,
    help="Encrypt the new private key; default: encrypt it if the old key is encrypted.",
)
@NOT_AFTER
def rotate(
    role: str, key: str | None, to: str | None, *, encrypt: bool, not_after: str | None
) -> int:
    """Replace a key with a new one. The old key signs the change, and the ledger records it."""
    until = parse_time_option("--not-after", not_after)
    click.echo(rotate_key_pair(KeyRole(role), key, to, encrypt=encrypt, not_after=until))
    return ExitCode.DONE


@command.command("revoke")
@click.argument("key", type=KeyName())
@click.option(
    "--since", required=True, metavar="TIME", help="Time since which its signatures do not count."
)
@click.option("--reason", required=True, help="Reason; shown by `auditor verify`.")
def revoke_key(key: str, since: str, reason: str) -> int:
    """Revoke KEY from a time on, because it may be compromised. You cannot undo this.

    KEY is a file, a URI, or the first characters of an identity in the ledger.
    """
    settings = AuditorSettings.from_environment()
    _, identity, _ = find_key(key, settings, get_password_source(settings))
    with open_own_ledger() as store:
        life = find_key_lifecycle(load_key_registry(settings), identity)
        with store.unit_of_work() as work:
            record_key_revocation(
                work, life, parse_time_option("--since", since) or "", reason, utc_now()
            )
    click.echo(f"{identity} is revoked since {since}: {reason}")
    return ExitCode.DONE


def _take_into_use(role: str, public: str, not_after: str | None) -> None:
    with open_own_ledger() as store, store.unit_of_work() as work:
        register_key_use(work, role, public, utc_now(), not_after=not_after)
