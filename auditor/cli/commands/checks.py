"""List the checks, and show what one measures and costs."""

import json

import click
from rich.console import Console

from auditor.checks.discovery import discover
from auditor.cli.exits import Exit
from auditor.cli.showing import show_rows
from auditor.cli.terminals import terminal
from auditor.domain.canonical import Json
from auditor.domain.checks import Check
from auditor.errors import UsageError
from auditor.measuring import parameters

FORMAT = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")


@click.group("checks")
def command() -> None:
    """List the checks, and show what one measures and costs."""


@command.command("list")
@FORMAT
def list_checks(form: str) -> int:
    """List every check; the list never depends on what is installed."""
    checks = discover()
    if form == "json":
        click.echo(json.dumps([_summary(check) for check in checks.values()], indent=2))
        return Exit.DONE
    rows = [(name, check.title, ", ".join(check.emits)) for name, check in checks.items()]
    show_rows(terminal(), ("check", "title", "metrics"), rows)
    return Exit.DONE


@command.command("show")
@click.argument("check_id")
@FORMAT
def show_check(check_id: str, form: str) -> int:
    """Show one check: its metrics, needs, parameters, presets and controls."""
    check = discover().get(check_id)
    if check is None:
        raise UsageError(
            f"there is no check {check_id}", cure=f"There are {', '.join(discover())}."
        )
    if form == "json":
        click.echo(json.dumps(_details(check), indent=2))
        return Exit.DONE
    _show(terminal(), check)
    return Exit.DONE


def _show(console: Console, check: type[Check]) -> None:
    console.print(f"[bold]{check.id}[/] version {check.version}: {check.title}", highlight=False)
    show_rows(
        console,
        ("metric", "title", "unit", "bound"),
        [(name, item.title, item.unit, item.bound) for name, item in check.emits.items()],
    )
    defaults = parameters(check())
    presets = check.presets.values()
    rows = [
        (name, str(default), *(str(preset.get(name, "")) for preset in presets))
        for name, default in defaults.items()
    ]
    if rows:
        show_rows(console, ("parameter", "default", *check.presets), rows)
    console.print(f"Needs: {', '.join(sorted(check.needs)) or 'nothing'}", highlight=False)
    controls = ", ".join(f"{item.framework} {item.ref}" for item in check.controls)
    console.print(f"Evidence for: {controls or 'no control'}", highlight=False)


def _summary(check: type[Check]) -> dict[str, Json]:
    return {
        "id": check.id,
        "version": check.version,
        "title": check.title,
        "metrics": list(check.emits),
    }


def _details(check: type[Check]) -> dict[str, Json]:
    return {
        **_summary(check),
        "needs": sorted(check.needs),
        "uses": list(check.uses),
        "parameters": parameters(check()),
        "presets": {name.value: dict(preset) for name, preset in check.presets.items()},
        "controls": [item.to_json() for item in check.controls],
    }
