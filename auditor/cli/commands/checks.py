"""List the checks, and show what one measures and costs."""

import json

import click

from auditor.checks.measure import get_check_parameters
from auditor.checks.registry import discover_checks
from auditor.cli.console import show_rows
from auditor.cli.input_paths import CheckName
from auditor.cli.main import ExitCode
from auditor.domain.checks import Check
from auditor.domain.json import Json
from auditor.errors import UsageError
from auditor.reports.terminal import create_console

FORMAT = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")


@click.group("checks")
def command() -> None:
    """List the checks, and show what one measures and costs."""


@command.command("list")
@FORMAT
def list_checks(form: str) -> int:
    """List every check; the list never depends on what is installed."""
    checks = discover_checks()
    if form == "json":
        click.echo(json.dumps([_summary(check) for check in checks.values()], indent=2))
        return ExitCode.DONE
    rows = [(name, check.title, ", ".join(check.emits)) for name, check in checks.items()]
    show_rows(create_console(), ("check", "title", "metrics"), rows)
    return ExitCode.DONE


@command.command("show")
@click.argument("check_id", type=CheckName())
@FORMAT
def show_check(check_id: str, form: str) -> int:
    """Show one check: its metrics, needs, parameters, presets and controls."""
    check = discover_checks().get(check_id)
    if check is None:
        raise UsageError(
            f"unknown check {check_id}", cure=f"Available checks: {', '.join(discover_checks())}."
        )
    if form == "json":
        details = {
            **_summary(check),
            "needs": sorted(check.needs),
            "uses": list(check.uses),
            "parameters": get_check_parameters(check()),
            "presets": {name.value: dict(preset) for name, preset in check.presets.items()},
            "controls": [item.to_json() for item in check.controls],
        }
        click.echo(json.dumps(details, indent=2))
        return ExitCode.DONE
    console = create_console()
    console.print(f"[bold]{check.id}[/] version {check.version}: {check.title}", highlight=False)
    show_rows(
        console,
        ("metric", "title", "unit", "bound"),
        [(name, item.title, item.unit, item.bound) for name, item in check.emits.items()],
    )
    defaults = get_check_parameters(check())
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
    return ExitCode.DONE


def _summary(check: type[Check]) -> dict[str, Json]:
    return {
        "id": check.id,
        "version": check.version,
        "title": check.title,
        "metrics": list(check.emits),
    }
