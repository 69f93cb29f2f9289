"""Make and list the projects of a service, on its own machine."""

from pathlib import Path

import click

from auditor.cli.exits import Exit
from auditor.cli.places import own_workplace
from auditor.cli.showing import show_rows
from auditor.cli.terminals import terminal
from auditor.clock import now
from auditor.projects import new_admin, new_project
from auditor.settings import ADMIN_KEY
from auditor.store.service.store import ServiceStore
from auditor.workplaces import Workplace

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
def new(name: str, out: Path | None) -> int:
    """Make the project NAME, and write its first admin's key to a file."""
    with own_workplace() as place:
        path = _place(place, name, out)
        new_project(ServiceStore(place.store), name, path, now())
    _tell(name, path)
    return Exit.DONE


@command.command("key")
@click.argument("name")
@_OUT
def key(name: str, out: Path | None) -> int:
    """Write another admin's key of the project NAME to a file; those before it still hold."""
    with own_workplace() as place:
        path = _place(place, name, out)
        new_admin(ServiceStore(place.store), name, path, now())
    _tell(name, path)
    return Exit.DONE


@command.command("list")
def listed() -> int:
    """List the projects, the oldest first."""
    with own_workplace() as place:
        rows = ServiceStore(place.store).projects()
    show_rows(terminal(), ("project", "made"), list(rows))
    return Exit.DONE


def _place(place: Workplace, name: str, out: Path | None) -> Path:
    usual = (place.settings.home / ADMIN_KEY).parent / "projects" / f"{name}.key"
    return usual if out is None else out


def _tell(name: str, path: Path) -> None:
    click.echo(f"The admin's key of the project {name} lies in {path}", err=True)
