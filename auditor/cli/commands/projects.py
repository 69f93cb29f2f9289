"""Make and list the projects of a service, on its own machine."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.console import show_rows
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.cli.workspace import open_own_workspace
from auditor.service.projects import create_admin_key, create_project
from auditor.service.store.submissions import ServiceStore
from auditor.workflows.settings import ADMIN_KEY
from auditor.workflows.workspace import Workspace

_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the key goes; default: service/projects/NAME.key below AUDITOR_HOME.",
)


@click.group("projects")
def command() -> None:
    """Make and list the projects of a service, on its own machine.

    Nobody can do so over HTTP: a project is a wall, and who makes one stands outside of all. Run it
    where the service's AUDITOR_HOME and AUDITOR_DATABASE_URL are; the service may run meanwhile.
    """


@command.command("new")
@click.argument("name")
@_OUT
def add_project(name: str, out: Path | None) -> int:
    """Make the project NAME, and write its first admin's key to a file."""
    with open_own_workspace() as place:
        path = _place(place, name, out)
        create_project(ServiceStore(place.store), name, path, utc_now())
    _tell(name, path)
    return ExitCode.DONE


@command.command("key")
@click.argument("name")
@_OUT
def add_admin_key(name: str, out: Path | None) -> int:
    """Write another admin's key of the project NAME to a file; those before it still hold."""
    with open_own_workspace() as place:
        path = _place(place, name, out)
        create_admin_key(ServiceStore(place.store), name, path, utc_now())
    _tell(name, path)
    return ExitCode.DONE


@command.command("list")
def list_projects() -> int:
    """List the projects, the oldest first."""
    with open_own_workspace() as place:
        rows = ServiceStore(place.store).projects()
    show_rows(create_console(), ("project", "made"), list(rows))
    return ExitCode.DONE


def _place(place: Workspace, name: str, out: Path | None) -> Path:
    usual = (place.settings.home / ADMIN_KEY).parent / "projects" / f"{name}.key"
    return usual if out is None else out


def _tell(name: str, path: Path) -> None:
    click.echo(f"The admin's key of the project {name} lies in {path}", err=True)
