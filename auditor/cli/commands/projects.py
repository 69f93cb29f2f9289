"""Create and list the projects of a service, on its own machine."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.console import show_rows
from auditor.cli.main import ExitCode
from auditor.cli.workspace import open_own_workspace
from auditor.reports.terminal import create_console
from auditor.service.projects import create_admin_key, create_project
from auditor.service.store.submission_history import ServiceStore
from auditor.workflows.settings import ADMIN_KEY
from auditor.workflows.workspace import Workspace

_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File for the key; default: service/projects/NAME.key in AUDITOR_HOME.",
)


@click.group("projects")
def command() -> None:
    """Create and list the projects of a service, on its own machine.

    This does not work over HTTP: a project isolates its users, and only the operator can create
    one. Run it with the AUDITOR_HOME and AUDITOR_DATABASE_URL of the service. The service can run
    at the same time.
    """


@command.command("new")
@click.argument("name")
@_OUT
def add_project(name: str, out: Path | None) -> int:
    """Create the project NAME, and write its first admin API key to a file."""
    with open_own_workspace() as place:
        path = _place(place, name, out)
        create_project(ServiceStore(place.store), name, path, utc_now())
    _tell(name, path)
    return ExitCode.DONE


@command.command("key")
@click.argument("name")
@_OUT
def add_admin_key(name: str, out: Path | None) -> int:
    """Write another admin API key of the project NAME to a file. Earlier keys remain valid."""
    with open_own_workspace() as place:
        path = _place(place, name, out)
        create_admin_key(ServiceStore(place.store), name, path, utc_now())
    _tell(name, path)
    return ExitCode.DONE


@command.command("list")
def list_projects() -> int:
    """List the projects, oldest first."""
    with open_own_workspace() as place:
        rows = ServiceStore(place.store).projects()
    show_rows(create_console(), ("project", "made"), list(rows))
    return ExitCode.DONE


def _place(place: Workspace, name: str, out: Path | None) -> Path:
    usual = (place.settings.home / ADMIN_KEY).parent / "projects" / f"{name}.key"
    return usual if out is None else out


def _tell(name: str, path: Path) -> None:
    click.echo(f"Wrote the admin API key of project {name} to {path}", err=True)
