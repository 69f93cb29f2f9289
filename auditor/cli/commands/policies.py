"""List, show and lint policies."""

import json
from pathlib import Path

import click
from rich.console import Console

from auditor.cli.exits import Exit
from auditor.cli.showing import show_rows
from auditor.packs.folders import list_policies
from auditor.packs.remarks import Level
from auditor.shipped import shipped
from auditor.wiring import lint_named, policy_bytes

FORMAT = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")


@click.group("policies")
def command() -> None:
    """List, show and lint policies."""


@command.command("list")
@FORMAT
def list_packs(form: str) -> int:
    """List the packs that come with auditor."""
    packs = list_policies(shipped("policies"))
    if form == "json":
        click.echo(json.dumps([pack.to_json() for pack in packs], indent=2))
    else:
        rows = [(pack.name, pack.version, str(pack.rules), pack.description) for pack in packs]
        show_rows(Console(), ("policy", "version", "rules", "what it is for"), rows)
    return Exit.DONE


@command.command("show")
@click.argument("policy")
def show(policy: str) -> int:
    """Print POLICY, a pack's name or a file, as it is written."""
    raw, _ = policy_bytes(policy, Path.cwd())
    click.echo(raw.decode("utf-8", errors="replace"), nl=False)
    return Exit.DONE


@command.command("lint")
@click.argument("policies", nargs=-1, required=True)
def lint(policies: tuple[str, ...]) -> int:
    """Say what is wrong or doubtful in POLICIES, packs' names or files.

    Exit code: 0 without mistakes (doubts are only shown), 2 with mistakes.
    """
    worst = Exit.DONE
    for name in policies:
        remarks = lint_named(name, Path.cwd())
        for remark in remarks:
            click.echo(f"{remark.level.value}: {str(remark).rstrip('.')}. {remark.cure}")
        if any(remark.level is Level.ERROR for remark in remarks):
            worst = Exit.INVALID
        elif not remarks:
            click.echo(f"{name}: nothing to remark")
    return worst
