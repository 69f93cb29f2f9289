"""Carry out a service's checks on targets of this machine."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from auditor.cli.isolation_options import isolation_option, require_isolation_level
from auditor.cli.main import ExitCode
from auditor.cli.serve_options import (
    AgentOptions,
    agent_options,
    require_server_extra,
    write_log_line,
)
from auditor.service.server.options import BindAddress, ServiceOptions, read_service_targets
from auditor.service.telemetry import open_tracer
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import open_worker_workspace

DRAIN = BindAddress().drain


@click.command("worker")
@click.option("--target", "names", multiple=True, required=True, help="Work for it; repeats.")
@click.option(
    "--targets",
    type=click.Path(path_type=Path),
    help="The targets.yaml that the service was started with.",
)
@click.option(
    "--slots", type=click.IntRange(1), default=1, show_default=True, help="Checks at once a target."
)
@click.option("--name", default="", help="Tells two workers for the same targets here apart.")
@click.option("--allow-recipes", is_flag=True, help="Run the code of recipes that callers send.")
@click.option(
    "--drain",
    type=click.IntRange(0),
    default=DRAIN,
    show_default=True,
    help="Seconds that checks in hand have at the end.",
)
@isolation_option
@agent_options
def command(  # noqa: PLR0913 -- one argument an option
    *,
    names: tuple[str, ...],
    targets: Path | None,
    slots: int,
    name: str,
    drain: int,
    allow_recipes: bool,
    isolation: str | None,
    **agent: object,
) -> NoReturn:
    """Carry out a service's checks on targets of this machine.

    It meets the service in its database: the same AUDITOR_DATABASE_URL (PostgreSQL) and
    AUDITOR_BLOBS_URL, or on one machine the same AUDITOR_HOME. It needs none of the service's keys.
    SIGTERM stops it once checks in hand have ended; what it
    leaves, also where it is killed, others for the target take up.

    With --server it is an agent: it calls the service over HTTPS with the key in AUDITOR_API_KEY,
    signs what it sees with --key, and needs neither database nor blobs. An admin enrols it.
    """
    require_isolation_level(isolation)
    known, wanted = read_service_targets(targets), tuple(dict.fromkeys(names))
    choice = AgentOptions.of(agent, slots=slots, name=name)
    if choice is not None:
        choice.run(wanted, known, drain, allow_recipes=allow_recipes)
        # A check that outlasts --drain is in a thread that nobody waits for.
        sys.stderr.flush()
        os._exit(ExitCode.DONE)
    choices = ServiceOptions(targets=known, recipes=allow_recipes, spans=open_tracer(os.environ))
    with require_server_extra():
        from auditor.service.server.start import WorkerOptions, run_worker  # noqa: PLC0415 -- heavy and optional
    working = WorkerOptions(targets=wanted, slots=slots, name=name, drain=drain)
    with open_worker_workspace(AuditorSettings.from_environment()) as place:
        run_worker(place, choices, working, write_log_line)
    # As with `serve`: the engine's threads may wait for a step that never begins any more.
    sys.stderr.flush()
    os._exit(ExitCode.DONE)
