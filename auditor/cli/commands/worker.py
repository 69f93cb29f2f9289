"""Run checks of a service on targets of this machine."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from auditor.cli.input_paths import TARGETS_FILE, TargetName
from auditor.cli.isolation_options import isolation_option, require_isolation_level
from auditor.cli.main import ExitCode
from auditor.cli.serve_options import (
    AgentOptions,
    agent_options,
    require_server_extra,
    write_log_line,
)
from auditor.service.server.bind_address import BindAddress
from auditor.service.server.options import ServiceOptions, read_service_targets
from auditor.service.server.stop_signals import watch_stop_signals
from auditor.service.telemetry import open_tracer
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import open_worker_workspace

DRAIN = BindAddress().drain


@click.command("worker")
@click.option(
    "--target",
    "names",
    type=TargetName(),
    multiple=True,
    required=True,
    help="Target to run checks on. Repeatable.",
)
@click.option(
    "--targets",
    type=TARGETS_FILE,
    help="targets.yaml of the service.",
)
@click.option(
    "--slots",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of checks to run at once on each target.",
)
@click.option(
    "--name",
    default="",
    help=("Name that distinguishes workers for the same targets on one machine."),
)
@click.option("--allow-recipes", is_flag=True, help="Run training recipes (code) from clients.")
@click.option(
    "--drain",
    type=click.IntRange(0),
    default=DRAIN,
    show_default=True,
    help="Seconds that running checks have to finish at shutdown.",
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
    """Run checks of a service on targets of this machine.

    The worker shares the database and the blobs of the service: set the same AUDITOR_DATABASE_URL
    (PostgreSQL) and AUDITOR_BLOBS_URL, or on one machine the same AUDITOR_HOME. It needs no keys of
    the service. SIGTERM stops it after its running checks. Other workers for the target continue
    checks that it leaves, also after a crash.

    With --server, the worker is an agent: it calls the service over HTTPS with the API key in
    AUDITOR_API_KEY and signs its results with --key. It needs neither database nor blobs. An admin
    must enrol it.
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
        from auditor.service.server.worker import WorkerOptions, run_worker  # noqa: PLC0415 -- heavy and optional
    working = WorkerOptions(targets=wanted, slots=slots, name=name, drain=drain)
    settings = AuditorSettings.from_environment()
    with open_worker_workspace(settings) as place, watch_stop_signals() as stop:
        run_worker(place, choices, working, write_log_line, stop)
    write_log_line({"event": "stopped"})
    # As with `serve`: the engine's threads may wait for a step that never begins any more.
    sys.stderr.flush()
    os._exit(ExitCode.DONE)
